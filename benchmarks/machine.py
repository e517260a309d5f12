"""What every benchmark says about where and from which code its numbers come."""

from __future__ import annotations

import os
import platform
import subprocess


def machine() -> dict[str, object]:
    """Processor, cores and commit; the commit is empty outside a checkout."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "commit": commit.stdout.strip()}

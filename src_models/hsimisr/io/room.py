"""Room on the disk: a mapped file that outgrows it ends the process, window and all, with no error to catch."""

from __future__ import annotations

import shutil
from pathlib import Path

from hsimisr.errors import WriteError


def check_room(path: Path, size: float) -> None:
    """Raise WriteError where so many bytes do not fit beside a file."""
    free = shutil.disk_usage(path.absolute().parent).free
    if size > free:
        raise WriteError(
            f"{path.name}: needs {size / 2**30:.3g} GiB and the disk has {free / 2**30:.3g} free; "
            "make room, choose another folder, or refine a smaller view"
        )

"""JSON as every program reads it: NaN and infinities are no JSON, so they are null."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(values: Any) -> str:
    """Indented JSON of plain values; numbers that are not finite become null."""
    return json.dumps(_finite(values), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

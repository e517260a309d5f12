"""Which array of a file with several is the cube."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hsimisr.errors import ReadError

STD, DETERMINED = "std", "determined"
"""Variables beside the cube in files that this package wrote."""
SMALLEST_SIDE = 4  # pixels; below that a 2-D array is a table, not an image
_MASK = re.compile(r"(^|[_/])(map|mask|gt|label|labels|ground_?truth)$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """An array in a file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.shape))} {self.dtype})"


def choose(
    path: Path, entries: Sequence[Entry], variable: str | None, pixels: int | None = None
) -> tuple[Entry, tuple[str, ...]]:
    """The array that holds the cube, and a note on those that were passed over.

    Args:
        path: the file, for messages.
        entries: its arrays.
        variable: the name the user asked for, or None to take the largest image.
        pixels: number of pixels where the file keeps them along one axis of a 2-D array.

    Raises:
        ReadError: the name is not there, or nothing looks like an image.
    """
    if variable is not None:
        for entry in entries:
            if entry.name == variable:
                return entry, ()
        raise ReadError(f"{path}: no array named {variable!r}; {_listing(path, entries)}")
    images = [entry for entry in entries if _is_image(entry) and len(entry.shape) > 2]
    if not images and pixels is not None:
        images = [entry for entry in entries if _is_image(entry) and pixels in entry.shape]
    if not images:
        images = [entry for entry in entries if _is_image(entry) and min(entry.shape) >= SMALLEST_SIDE]
        if len(images) > 1:
            raise ReadError(f"{path}: no array has three axes, and several are images; {_listing(path, entries)}")
    if not images:
        raise ReadError(f"{path}: holds no image cube; {_listing(path, entries)}")
    chosen = max(images, key=lambda entry: prod(entry.shape))
    others = [entry for entry in images if entry is not chosen]
    if not others:
        return chosen, ()
    return chosen, (f"took the largest array {chosen}; also there: {', '.join(map(str, others))}",)


def check_real(path: Path, entry: Entry) -> None:
    """Raise ReadError unless the array holds real numbers in two to four axes."""
    if entry.dtype.kind == "c":
        raise ReadError(f"{path}: {entry.name} holds complex numbers; save its magnitude or its real part")
    if entry.dtype.kind not in "uifb":
        raise ReadError(f"{path}: {entry.name} holds {entry.dtype}, not numbers; name another array")
    if not 2 <= len(entry.shape) <= 4 or 0 in entry.shape:
        raise ReadError(f"{path}: {entry} is no image; a cube has the axes (band, y, x), a sequence one more")


def _is_image(entry: Entry) -> bool:
    named_otherwise = entry.name in (STD, DETERMINED) or _MASK.search(entry.name) is not None
    return entry.dtype.kind in "uifc" and 2 <= len(entry.shape) <= 4 and 0 not in entry.shape and not named_otherwise


def _listing(path: Path, entries: Sequence[Entry]) -> str:
    if not entries:
        return "it has no arrays"
    shown = ", ".join(str(entry) for entry in entries[:12]) + (", ..." if len(entries) > 12 else "")
    return f"it has {shown}; open one as {path.name}:NAME"

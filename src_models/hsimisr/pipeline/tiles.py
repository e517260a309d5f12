"""Cutting a view into tiles that fit into memory, and blending them without seams."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import View

OVERLAP = 6
"""LR pixels that neighbouring tiles share; inside, one fades into the other."""
SMALLEST = 16


def tiles_of(view: View, size: int) -> list[View]:
    """Overlapping tiles of at most `size` LR pixels a side that cover a view."""
    rows, cols = (_cuts(a, b, size) for a, b in ((view.y0, view.y1), (view.x0, view.x1)))
    return [View(y0, y1, x0, x1) for y0, y1 in rows for x0, x1 in cols]


def _cuts(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    length = stop - start
    if length <= size:
        return [(start, stop)]
    count = int(np.ceil((length - OVERLAP) / max(size - OVERLAP, 1)))
    edges = np.linspace(start, stop - OVERLAP, count + 1).round().astype(int)
    return [(int(a), int(b) + OVERLAP) for a, b in pairwise(edges)]


def overlap(a: View, b: View) -> View | None:
    """What two views share, or None."""
    y0, y1, x0, x1 = max(a.y0, b.y0), min(a.y1, b.y1), max(a.x0, b.x0), min(a.x1, b.x1)
    return View(y0, y1, x0, x1) if y0 < y1 and x0 < x1 else None


def place(inner: View, outer: View, scale: int) -> tuple[slice, slice]:
    """Where a view lies in an image of another one that holds it, `scale` pixels per LR pixel."""
    rows = slice((inner.y0 - outer.y0) * scale, (inner.y1 - outer.y0) * scale)
    return rows, slice((inner.x0 - outer.x0) * scale, (inner.x1 - outer.x0) * scale)


def blend_weight(tile: View, view: View, scale: int) -> npt.NDArray[np.float32]:
    """Weight ``(H, W)`` of a tile's HR pixels: 1 inside, falling linearly where it meets a neighbour.

    The weights of all tiles of a view add up to 1 everywhere.
    """
    ramps = []
    for a, b, start, stop in ((tile.y0, tile.y1, view.y0, view.y1), (tile.x0, tile.x1, view.x0, view.x1)):
        n = (b - a) * scale
        position = np.arange(n) + 0.5
        ramp = np.ones(n)
        if a > start:
            ramp = np.minimum(ramp, position / (OVERLAP * scale))
        if b < stop:
            ramp = np.minimum(ramp, position[::-1] / (OVERLAP * scale))
        ramps.append(ramp)
    return np.outer(*ramps).astype(np.float32)

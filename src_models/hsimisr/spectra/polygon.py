"""The pixels of a region drawn as a polygon."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Vector
from hsimisr.geometry import View

Mask = npt.NDArray[np.bool_]


def pixels_inside(corners: Vector, shape_yx: tuple[int, int]) -> tuple[View, Mask] | None:
    """The pixels whose centre lies inside a polygon: a window and a mask in it, or None where there are none.

    Args:
        corners: ``(n, 2)`` as ``(y, x)``, pixel centres at integers; the last one joins the first. Where the outline
            crosses itself, what it encloses twice lies outside (even-odd rule).
        shape_yx: of the image; what lies beyond it does not count.
    """
    low = np.maximum(np.ceil(corners.min(0)), 0).astype(int)
    high = np.minimum(np.floor(corners.max(0)) + 1, shape_yx).astype(int)
    if (high <= low).any():
        return None
    view = View(int(low[0]), int(high[0]), int(low[1]), int(high[1]))
    crossings = np.zeros((view.shape[0], view.shape[1] + 1), np.intp)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        top, end = max(math.ceil(min(y0, y1)), view.y0), min(math.ceil(max(y0, y1)), view.y1)
        if end <= top:
            continue
        rows = np.arange(top, end)
        x = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        first = np.clip(np.ceil(x).astype(int) - view.x0, 0, view.shape[1])  # the first pixel right of the line
        np.add.at(crossings, (rows - view.y0, first), 1)
    mask = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return (view, mask) if mask.any() else None

"""A frame read at the pixels of the reference, through its motion: for comparing frames, never for the inversion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import View
from hsimisr.physics.motion import Points, forward_motion
from hsimisr.physics.types import Float32, FrameMotion

REACH = 12
"""LR pixels around a point after which a cubic spline has forgotten its samples (its poles: 0.268^12 is 1e-7)."""
WHOLE = 1e-6
"""Weights up to this are rounding: a point that stands on a pixel needs no neighbour."""


def places_in_frame(motion: FrameMotion, view: View) -> Points:
    """Where the frame shows the reference pixels of a view, ``(h, w, 2)``, in the frame's own LR pixels."""
    rows, columns = np.mgrid[view.y0 : view.y1, view.x0 : view.x1]
    return forward_motion(motion, np.stack([rows, columns], -1))


def window_around(places: Points, shape_yx: tuple[int, int]) -> View | None:
    """The part of a frame of this shape that `sample` needs for `places`, or None where the frame shows none of it."""
    flat = places.reshape(-1, 2)
    low = np.maximum(np.floor(flat.min(0)).astype(int) - REACH, 0)
    high = np.minimum(np.ceil(flat.max(0)).astype(int) + 1 + REACH, shape_yx)
    if (high <= low).any():
        return None
    return View(int(low[0]), int(high[0]), int(low[1]), int(high[1]))


def sample(image: Float32, places: npt.ArrayLike) -> Float32:
    """Values ``(...)`` of an image ``(h, w)`` at points ``(..., 2)`` in its pixels, by cubic spline.

    NaN outside of the outermost pixel centres, and wherever one of the four nearest pixels that count is NaN.
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates  # only when asked: the window imports this module

    points = np.moveaxis(np.asarray(places, float), -1, 0)
    valid = np.isfinite(image)
    if not valid.any():
        return np.full(points.shape[1:], np.nan, np.float32)
    filled = image.astype(np.float64)
    if not valid.all():  # a spline would spread one NaN over the whole image
        nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
        filled = filled[tuple(nearest)]
    out = map_coordinates(filled, points, order=3, mode="mirror").astype(np.float32)
    missing = map_coordinates((~valid).astype(np.float64), points, order=1, mode="nearest") > WHOLE
    last = np.array(image.shape).reshape(2, *[1] * (points.ndim - 1)) - 1
    outside = ((points < -WHOLE) | (points > last + WHOLE)).any(0)
    out[missing | outside] = np.nan
    return out

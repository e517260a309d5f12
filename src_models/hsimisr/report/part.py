"""The part of a result that a report shows: the middle of it, small enough for memory and a page."""

from __future__ import annotations

from dataclasses import replace

from hsimisr.geometry import Grid, View
from hsimisr.physics.types import Estimate
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.tiled_result import TiledResult

LARGEST = 160
"""LR pixels along a side."""


def middle_of(result: Result | TiledResult) -> Estimate:
    """The estimate of the middle of what was refined, or of all of it where that is small."""
    view = result.view if isinstance(result, TiledResult) else result.estimate.grid.view
    area = _middle(view)
    if isinstance(result, TiledResult):
        return result.part(area, slice(None))
    return result.estimate if area == view else _cut(result.estimate, area)


def _middle(view: View) -> View:
    sizes = [min(size, LARGEST) for size in view.shape]
    y0, x0 = (start + (full - size) // 2 for start, full, size in zip(view.origin, view.shape, sizes, strict=True))
    return View(y0, y0 + sizes[0], x0, x0 + sizes[1])


def _cut(estimate: Estimate, area: View) -> Estimate:
    """Part of an estimate; its low-pass residual is interpolated without what lies around."""
    s, (top, left) = estimate.grid.scale, estimate.grid.origin_yx
    y, x = slice(area.y0 - top, area.y1 - top), slice(area.x0 - left, area.x1 - left)
    coarse = {
        name: image[..., y, x]
        for name in ("residual", "measured", "learned", "determined")
        if (image := getattr(estimate, name)) is not None
    }
    fine_y, fine_x = (slice(part.start * s, part.stop * s) for part in (y, x))
    variance = None if estimate.variance is None else estimate.variance[:, fine_y, fine_x]
    mean = estimate.mean[:, fine_y, fine_x]
    return replace(estimate, mean=mean, variance=variance, grid=Grid.of_view(area, s), **coarse)

"""Which part of a frame is on the canvas, and which of its pixels is under the mouse."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari.components import ViewerModel
from napari.layers import Image

from hsimisr.errors import ConfigError
from hsimisr.geometry import View


def current_view(viewer: ViewerModel, frame: Image) -> View:
    """The pixels of `frame` that are at least partly visible.

    `Layer.corner_pixels` is of no use here: it ignores the zoom of single-scale layers.

    Raises:
        ConfigError: the canvas shows the frame in 3D, or no part of it.
    """
    if viewer.dims.ndisplay != 2:
        raise ConfigError("the current view is defined in 2D only; leave the 3D display, or refine the whole frame")
    camera = viewer.scene.camera
    half = [size / camera.zoom / 2 for size in viewer.canvas.size]
    corners = []
    for sign_y, sign_x in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        point = list(viewer.dims.point)
        for axis, centre, offset in zip(
            viewer.dims.displayed, camera.center[-2:], (sign_y * half[0], sign_x * half[1]), strict=True
        ):
            point[axis] = centre + offset
        corners.append(pixel_at(frame, point))
    height, width = frame.data.shape[-2:]
    y0, y1 = _visible([y for y, _ in corners], height)
    x0, x1 = _visible([x for _, x in corners], width)
    if y1 <= y0 or x1 <= x0:
        raise ConfigError(f"{frame.name} is not on the canvas; move the view back to it, or refine the whole frame")
    return View(y0, y1, x0, x1)


def pixel_at(frame: Image, world: Sequence[float]) -> tuple[float, float]:
    """The ``(y, x)`` of a world position in pixels of `frame`, pixel centres at integers."""
    y, x = frame.world_to_data(world)[-2:]
    return float(y), float(x)


def world_at(frame: Image, point_yx: tuple[float, float]) -> tuple[float, float]:
    """The world position ``(y, x)`` of a point in pixels of `frame`."""
    y, x = frame.data_to_world((0.0, *point_yx))[-2:]
    return float(y), float(x)


def _visible(coordinates: list[float], size: int) -> tuple[int, int]:
    first, last = math.floor(min(coordinates) + 0.5), math.ceil(max(coordinates) + 0.5)
    return max(first, 0), min(last, size)

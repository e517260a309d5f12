"""Picking a point on the canvas with a click that is no drag, and the mark that shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Vectors

from napari_hsimisr.layers import PRODUCT

DRAG_PX = 4  # canvas pixels; less is a click
PIN, PIN_COLOUR = "pin", "#ffd33d"
STROKES = np.array(
    [[[y, x], [1.5 * y, 1.5 * x]] for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
)  # start, length; pixels


class Picker:
    """Calls `on_pick` with the world position ``(y, x)`` of every plain click on the canvas, until closed."""

    def __init__(self, viewer: ViewerModel, on_pick: Callable[[tuple[float, float]], None]) -> None:
        self._viewer = viewer
        self._on_pick = on_pick
        # a bound method differs at each access: keep the one that is registered
        self._callback = self._pressed
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Leave the mouse alone."""
        self._viewer.mouse_drag_callbacks.remove(self._callback)

    def _pressed(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or event.modifiers or not mouse_is_free(viewer):
            return
        start, dragged = event.pos, False
        yield
        while event.type == "mouse_move":
            dragged = dragged or math.dist(event.pos, start) > DRAG_PX
            yield
        if not dragged:
            y, x = (event.position[axis] for axis in viewer.dims.displayed[-2:])
            self._on_pick((float(y), float(x)))


class Pin:
    """Four strokes around a pixel.

    A Vectors layer, since the text of a Points layer takes 0.2 s at its first drawing; made before it is needed, since
    the first one imports pandas.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer = Vectors(
            STROKES, name="spectrum", metadata={PRODUCT: PIN}, vector_style="line", edge_color=PIN_COLOUR
        )

    def show(self, world_yx: tuple[float, float], reference: Image) -> None:
        """Mark a world position, as large as suits the pixels of the reference."""
        layer, layers, pixel = self._layer, self._viewer.layers, float(reference.scale[-1])
        layer.data = np.stack([world_yx + STROKES[:, 0] * pixel, STROKES[:, 1] * pixel], axis=1)
        if layer in layers:
            return
        layer.edge_width = 0.25 * pixel
        layer.units, layer.axis_labels = reference.units[-2:], reference.axis_labels[-2:]
        selected = layers.selection.active
        layers.append(layer)
        layers.selection.active = selected


def mouse_is_free(viewer: ViewerModel) -> bool:
    """Whether no layer tool (painting, adding points, ...) waits for the click."""
    active = viewer.layers.selection.active
    return viewer.dims.ndisplay == 2 and (active is None or str(active.mode) == "pan_zoom")

"""Picking a point on the canvas with a click that is no drag, and the mark that shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Vectors

from napari_hsimisr.layers import PRODUCT
from napari_hsimisr.mouse import PressListener, World

DRAG_PX = 4  # canvas pixels; less is a click
PIN, PIN_COLOUR = "pin", "#ffd33d"
STROKES = np.array(
    [[[y, x], [1.5 * y, 1.5 * x]] for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
)  # start, length; pixels


class Picker(PressListener):
    """Calls `on_pick` with the world position ``(y, x)`` of every plain click on the canvas, until closed."""

    def __init__(self, viewer: ViewerModel, on_pick: Callable[[World], None]) -> None:
        self._on_pick = on_pick
        super().__init__(viewer)

    def follow(self, event: Any) -> Generator[None, None, None]:
        start, dragged = event.pos, False
        yield
        while event.type == "mouse_move":
            dragged = dragged or math.dist(event.pos, start) > DRAG_PX
            yield
        if not dragged:
            self._on_pick(self.world(event))


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

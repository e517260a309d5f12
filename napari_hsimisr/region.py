"""The region that a person has drawn: the rectangle around a shape, in whole pixels of a frame."""

from __future__ import annotations

import math

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from napari_hsimisr.view import pixel_at

NAME = "region"
TOUCH = 1e-3
"""Part of a pixel by which a shape may reach into it and still only touch it: napari keeps shapes as float32."""


def drawn_region(viewer: ViewerModel, frame: Image) -> View:
    """The pixels of `frame` that are at least partly inside the rectangle around the selected shapes.

    Raises:
        ConfigError: nothing is drawn, it is not clear which shape is meant, or it lies beside the frame.
    """
    layer = shapes_layer(viewer)
    if layer is None or not layer.nshapes:
        raise ConfigError("no region is drawn: draw a rectangle in a Shapes layer, then refine it")
    meant = sorted(layer.selected_data) or range(layer.nshapes)
    if not layer.selected_data and layer.nshapes > 1:
        raise ConfigError(f"{layer.name} holds {layer.nshapes} shapes: select the one to refine")
    corners = [layer.data_to_world(vertex) for number in meant for vertex in np.asarray(layer.data[number])]
    places = np.array([pixel_at(frame, corner) for corner in corners])
    height, width = frame.data.shape[-2:]
    y0, y1 = _touched(places[:, 0], height)
    x0, x1 = _touched(places[:, 1], width)
    if y1 <= y0 or x1 <= x0:
        raise ConfigError(f"the shape in {layer.name} lies beside {frame.name}: draw it on the frame")
    return View(y0, y1, x0, x1)


def shapes_layer(viewer: ViewerModel) -> Shapes | None:
    """The Shapes layer that a region is taken from: the selected one, else the uppermost that is visible."""
    active = viewer.layers.selection.active
    if isinstance(active, Shapes):
        return active
    return next((layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes) and layer.visible), None)


def begin_region(viewer: ViewerModel, frame: Image) -> Shapes:
    """Wait for a rectangle: the Shapes layer, a new one where there is none, with its tool in hand."""
    layer = shapes_layer(viewer)
    if layer is None:
        looks = {"edge_color": "yellow", "face_color": "transparent", "edge_width": 0.3}
        labels, units = frame.axis_labels[-2:], frame.units[-2:]
        layer = Shapes(ndim=2, name=NAME, scale=frame.scale[-2:], axis_labels=labels, units=units, **looks)
        viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
    return layer


def end_drawing(layer: Shapes) -> None:
    """Put the tool that draws away; what is selected stays so, and can be moved or drawn larger."""
    if layer.mode.startswith("add_"):
        layer.mode = "select"


def _touched(coordinates: np.ndarray, size: int) -> tuple[int, int]:
    first = math.floor(coordinates.min() + 0.5 + TOUCH)
    last = math.ceil(coordinates.max() + 0.5 - TOUCH)
    return max(first, 0), min(last, size)

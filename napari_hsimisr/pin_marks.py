"""Pins on the canvas: four strokes around a pixel in the colour of its curve, and its number beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Vectors

from napari_hsimisr.layers import PRODUCT
from napari_hsimisr.pins import Pin

MARKS = "pin"
Strokes = npt.NDArray[np.float64]
CROSS: Strokes = np.array([[[y, x], [1.5 * y, 1.5 * x]] for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))])
"""Start and length, pixels."""
SEGMENTS: Strokes = np.array(
    [
        [[0, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 1], [1, 0]], [[2, 0], [0, 1]], [[1, 0], [1, 0]], [[0, 0], [1, 0]],
        [[1, 0], [0, 1]],
    ],
    float,
)  # fmt: skip
"""Of a digit: top, upper right, lower right, bottom, lower left, upper left, middle."""
DIGITS = ("012345", "12", "01346", "01236", "1256", "02356", "023456", "012", "0123456", "012356")
DIGIT_SIZE, DIGIT_STEP = 0.9, 1.6
NUMBER_AT = (-2.8, 1.7)
"""Upper left corner of the first digit, pixels from the pin."""


class PinMarks:
    """One Vectors layer for all pins.

    The text of a Points layer takes 0.2 s at its first drawing; and the first Vectors layer imports pandas, hence it is
    made before it is needed.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer = Vectors(CROSS, name="spectrum", metadata={PRODUCT: MARKS}, vector_style="line")

    def show(self, pins: Sequence[Pin], reference: Image) -> None:
        """Mark pins, as large as suits the pixels of the reference; of several each gets its number."""
        layer, layers, pixel = self._layer, self._viewer.layers, float(reference.scale[-1])
        if not pins:
            if layer in layers:
                layers.remove(layer)
            return
        parts = [CROSS if len(pins) == 1 else np.concatenate([CROSS, number_strokes(pin.number)]) for pin in pins]
        layer.data = np.concatenate(
            [
                np.stack([pin.world + strokes[:, 0] * pixel, strokes[:, 1] * pixel], axis=1)
                for pin, strokes in zip(pins, parts, strict=True)
            ]
        )
        layer.edge_color = [pin.colour for pin, strokes in zip(pins, parts, strict=True) for _ in strokes]
        if layer in layers:
            self.raise_()
            return
        layer.edge_width = 0.25 * pixel
        layer.units, layer.axis_labels = reference.units[-2:], reference.axis_labels[-2:]
        selected = layers.selection.active
        layers.append(layer)
        layers.selection.active = selected

    def raise_(self) -> None:
        """Go above all images: one that is added later would cover the marks."""
        layer, layers = self._layer, self._viewer.layers
        if layer in layers and any(isinstance(other, Image) for other in layers[layers.index(layer) + 1 :]):
            layers.move(layers.index(layer), len(layers))


def number_strokes(number: int) -> Strokes:
    """Start and length ``(n, 2, 2)`` of the strokes of a number beside a pin, pixels."""
    parts = []
    for place, digit in enumerate(str(number)):
        strokes = SEGMENTS[[int(segment) for segment in DIGITS[int(digit)]]] * DIGIT_SIZE
        strokes[:, 0] += np.add(NUMBER_AT, (0, place * DIGIT_STEP))
        parts.append(strokes)
    return np.concatenate(parts)

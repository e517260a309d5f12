"""Layers that show how a frame lies on the reference: one of each kind, exactly on it, updated in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Vectors

from hsimisr.physics.types import Float32
from napari_hsimisr.arrows import Arrows
from napari_hsimisr.layers import PRODUCT, plane_to_world

CHECKERBOARD, DIFFERENCE, ARROWS, FIELD = "checkerboard", "difference", "motion arrows", "local field"
ARROW_COLOUR = "#e83ad0"  # stands out on gray, on the difference and on the local field


class InspectionLayers:
    """The layers by kind."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._bands: dict[str, int | None] = {}

    def show_image(
        self,
        kind: str,
        image: Float32,
        reference: Image,
        name: str,
        limits: tuple[float, float],
        *,
        origin: tuple[int, int] = (0, 0),
        band: int | None = None,
        colormap: Any = "gray",
    ) -> None:
        """Put an image ``(h, w)`` on the reference, from its pixel `origin` on.

        `limits` are for a new layer or a new band: what the user sets stays meanwhile.
        """
        affine, layer = plane_to_world(reference, origin), self.find(kind)
        if not isinstance(layer, Image):
            layer = Image(image, affine=affine, colormap=colormap, contrast_limits=limits, **_looks(kind, reference))
            self._add(layer)
        else:
            layer.data = image
            if not np.allclose(layer.affine.affine_matrix, affine, rtol=0, atol=1e-12):  # setting it redraws the layer
                layer.affine = affine
            if band != self._bands.get(kind):
                layer.contrast_limits_range = limits
                layer.contrast_limits = limits
            self._raise(layer)
        self._bands[kind] = band
        layer.name = name

    def show_arrows(self, arrows: Arrows, reference: Image, name: str) -> None:
        """Put arrows on the reference."""
        affine, layer = plane_to_world(reference), self.find(ARROWS)
        if not isinstance(layer, Vectors):
            layer = Vectors(arrows.data, affine=affine, edge_color=ARROW_COLOUR, **_looks(ARROWS, reference))
            layer.vector_style, layer.edge_width = "arrow", float(np.ptp(arrows.data[:, 0])) / 120
            self._add(layer)
        else:
            layer.data, layer.affine = arrows.data, affine
        layer.name = name

    def find(self, kind: str) -> Layer | None:
        """The layer of a kind, or None."""
        return next((layer for layer in self._viewer.layers if layer.metadata.get(PRODUCT) == kind), None)

    def remove(self, *kinds: str) -> None:
        """Take layers away, those that are there."""
        selected = self._viewer.layers.selection.active
        for kind in kinds:
            if (layer := self.find(kind)) is not None:
                self._viewer.layers.remove(layer)
        if selected in self._viewer.layers:
            self._viewer.layers.selection.active = selected

    def _add(self, layer: Layer) -> None:
        layers, selected = self._viewer.layers, self._viewer.layers.selection.active
        layers.insert(len(layers) if isinstance(layer, Vectors) else self._top_of_images() + 1, layer)
        if selected is not None:
            layers.selection.active = selected

    def _raise(self, layer: Image) -> None:
        """Above images that came later, such as a refined cube; strokes and arrows stay above."""
        top = self._top_of_images()
        if self._viewer.layers.index(layer) < top:
            self._viewer.layers.move(self._viewer.layers.index(layer), top + 1)

    def _top_of_images(self) -> int:
        return max((n for n, layer in enumerate(self._viewer.layers) if isinstance(layer, Image)), default=-1)


def _looks(kind: str, reference: Image) -> dict[str, Any]:
    return {
        "metadata": {PRODUCT: kind},
        "units": reference.units[-2:],
        "axis_labels": reference.axis_labels[-2:],
    }

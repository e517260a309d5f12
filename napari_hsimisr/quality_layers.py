"""Layers that show how good a result is: one of each kind, exactly on its reference frame, updated in place."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_hsimisr.inspection_layers import InspectionLayers
from napari_hsimisr.layers import PRODUCT, plane_to_world
from napari_hsimisr.maps import Map
from napari_hsimisr.overlays import REFINED

ANGLE, ERROR, RELATIVE, FADED = "spectral angle", "error", "relative error bar", "faded"
DETERMINED, LEARNED = "determined by the frames", "learned stage followed"
KINDS = (ANGLE, ERROR, RELATIVE, FADED, DETERMINED, LEARNED)


class QualityLayers(InspectionLayers):
    """The layers by kind; what the user sets (colours, limits, visibility) stays while they are updated."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(viewer)
        self._placed: dict[str, tuple[Map, Image]] = {}
        self._about: dict[str, Hashable] = {}
        self._put_away: set[str] = set()

    def show_map(
        self,
        kind: str,
        shown: Map,
        reference: Image,
        name: str,
        *,
        about: Hashable,
        limits: tuple[float, float],
        colormap: Any,
        opacity: float = 1.0,
        colorbar: bool = True,
    ) -> None:
        """Put a map on the reference; a new layer is selected, so that the status bar tells its values.

        Args:
            about: limits and colours are set anew when this changes.
        """
        self._placed[kind] = shown, reference
        layer = self.find(kind)
        if not isinstance(layer, Image):
            looks = {"contrast_limits": limits, "colormap": colormap, "opacity": opacity}
            layer = self._new(kind, shown, reference, {"name": name, **looks})
            layer.colorbar.visible = colorbar
        else:
            layer.data = shown.values
            self._move(layer, shown, reference)
            if about != self._about.get(kind):
                layer.contrast_limits_range = limits
                layer.contrast_limits = limits
                layer.colormap = colormap
            if kind in self._put_away:
                layer.visible = True
        self._put_away.discard(kind)
        self._about[kind] = about
        layer.name = name

    def remove(self, *kinds: str) -> None:
        """Take maps away, those that are there; the refined cube is selected in place of one of them."""
        super().remove(*kinds)
        selection, refined = self._viewer.layers.selection, self.find(REFINED)
        if not selection and refined is not None:
            selection.active = refined

    def put_away(self, *kinds: str) -> None:
        """Hide maps while they tell of something else than what is shown; `show_map` brings them back."""
        for kind in kinds:
            layer = self.find(kind)
            if layer is not None and layer.visible:
                self._put_away.add(kind)
                layer.visible = False

    def follow(self) -> None:
        """Put the maps on their reference frames again, after those have moved."""
        for kind, (shown, reference) in self._placed.items():
            layer = self.find(kind)
            if layer is not None:
                self._move(layer, shown, reference)

    def _new(self, kind: str, shown: Map, reference: Image, looks: dict[str, Any]) -> Image:
        layer = Image(
            shown.values,
            affine=plane_to_world(reference) @ shown.to_reference,
            metadata={PRODUCT: kind},
            units=reference.units[-2:],
            axis_labels=reference.axis_labels[-2:],
            **looks,
        )
        self._add(layer)
        self._viewer.layers.selection.active = layer
        return layer

    def _move(self, layer: Any, shown: Map, reference: Image) -> None:
        affine = plane_to_world(reference) @ shown.to_reference
        if not np.allclose(layer.affine.affine_matrix, affine, rtol=0, atol=1e-12):  # setting it redraws the layer
            layer.affine = affine
        layers, refined = self._viewer.layers, self.find(REFINED)
        if refined is not None and layers.index(layer) < layers.index(refined):
            layers.move(layers.index(layer), layers.index(refined) + 1)

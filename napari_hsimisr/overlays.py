"""Results as napari layers: exactly on their reference frame, bands expanded one at a time as they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Image
from napari.utils.transforms import Affine

from hsimisr.cube import Cube
from hsimisr.geometry import Grid
from hsimisr.physics.types import Estimate, Float32
from napari_hsimisr.later import Later, at_once
from napari_hsimisr.layers import (
    CUBE,
    NOT_FOR_EXPORT,
    PRODUCT,
    PROVENANCE,
    STD,
    contrast_limits,
    cube_of,
    starting_band,
)

REFINED, UNCERTAINTY = "refined", "uncertainty"
Expand = Callable[[Any], Float32]


class Overlays:
    """The layers of one result on its reference frame: made once, then improved in place."""

    def __init__(self, viewer: ViewerModel, later: Later = at_once) -> None:
        self._viewer = viewer
        self._later = later
        self._lies_on: dict[str, tuple[Grid, Image]] = {}

    def show(
        self, estimate: Estimate, reference: Image, provenance: Mapping[str, Any], *, not_for_export: str = ""
    ) -> None:
        """Put the refined cube on its reference frame; `not_for_export` says why it cannot be saved, if so."""
        metadata: dict[str, Any] = {PROVENANCE: dict(provenance), NOT_FOR_EXPORT: not_for_export}
        if estimate.variance is not None:
            metadata[STD] = overlay_cube(_cube(reference), estimate.std, estimate, UNCERTAINTY)
        refined = overlay_cube(_cube(reference), estimate.bands, estimate, REFINED)
        name = f"{REFINED} ({estimate.method}, ×{estimate.grid.scale})"
        self._place(REFINED, refined, estimate.grid, reference, metadata, name=name)

    def show_uncertainty(self, estimate: Estimate, reference: Image, *, not_for_export: str = "") -> None:
        """Put the error bars below the refined cube, hidden; without any, take the old ones away."""
        if estimate.variance is not None:
            std = overlay_cube(_cube(reference), estimate.std, estimate, UNCERTAINTY)
            limits = contrast_limits(std.data[starting_band(std)])
            metadata = {NOT_FOR_EXPORT: not_for_export}
            self._place(UNCERTAINTY, std, estimate.grid, reference, metadata, colormap="magma", contrast_limits=limits)
        elif (outdated := self.find(UNCERTAINTY)) is not None:
            self._viewer.layers.remove(outdated)

    def follow(self) -> None:
        """Put the layers on their reference frames again, after those have moved."""
        for product, (grid, reference) in self._lies_on.items():
            layer = self.find(product)
            if layer is not None:
                _move(layer, overlay_geometry(grid, reference))

    def find(self, product: str) -> Image | None:
        """The layer of a product, or None."""
        return next((layer for layer in self._viewer.layers if layer.metadata.get(PRODUCT) == product), None)

    def _place(
        self,
        product: str,
        cube: Cube,
        grid: Grid,
        reference: Image,
        metadata: Mapping[str, Any],
        **looks: Any,
    ) -> None:
        metadata = {**metadata, CUBE: cube, PRODUCT: product}
        geometry = overlay_geometry(grid, reference)
        self._lies_on[product] = grid, reference
        layer = self.find(product)
        if layer is None:
            self._add(product, cube, {"metadata": metadata, **_looks_of(reference), **geometry, **looks})
            return
        layer.data, layer.metadata = cube.data, metadata
        if layer.name.startswith(product):  # not renamed by the user
            layer.name = looks.get("name", product)
        _move(layer, geometry)

    def _add(self, product: str, cube: Cube, attributes: dict[str, Any]) -> None:
        layers, above = self._viewer.layers, self.find(REFINED)
        position = len(layers) if above is None else layers.index(above)
        layer = Image(cube.data, **({"name": product, "visible": False} | attributes))
        _insert(layers, position, layer)
        if product == REFINED:  # adding takes napari 0.1 s, so that drawing waits for the next turn
            self._later(partial(_bring_forward, layers, layer))


def overlay_geometry(grid: Grid, reference: Image) -> dict[str, Any]:
    """Layer transform that puts an HR grid exactly on its reference frame, however that one is placed."""
    linear = Affine(scale=reference.scale, rotate=reference.rotate, shear=reference.shear).linear_matrix
    first_pixel = np.array([0.0, *grid.layer_translate()])  # in pixels of the reference
    return {
        "scale": (reference.scale[0], *grid.layer_scale(tuple(reference.scale[1:]))),
        "translate": tuple(linear @ first_pixel + reference.translate),
        "rotate": reference.rotate,
        "shear": reference.shear,
        "affine": reference.affine.affine_matrix,
    }


def overlay_cube(frame: Cube, expand: Expand, estimate: Estimate, product: str) -> Cube:
    """The cube of an overlay, lazy, with the frame's wavelengths and the georeference of its own grid."""
    grid = estimate.grid
    cropped = frame.crop(grid.view)
    transform = cropped.transform
    if transform is not None:
        x0, dx, rx, y0, ry, dy = transform
        transform = (x0, dx / grid.scale, rx / grid.scale, y0, ry / grid.scale, dy / grid.scale)
    source = _BandByBand(expand, (frame.bands, *grid.shape))
    data = da.from_array(source, chunks=(1, -1, -1), name=False, asarray=False, meta=np.empty((0, 0, 0), np.float32))
    name, bad = f"{frame.name} {product}", estimate.subspace.bad
    return replace(cropped, data=data, bad=bad, nodata=None, transform=transform, name=name, notes=())


class _BandByBand:
    """Array ``(band, y, x)`` whose bands are computed from eigen-images when they are asked for."""

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, expand: Expand, shape: tuple[int, int, int]) -> None:
        self._expand = expand
        self.shape = shape

    def __getitem__(self, key: tuple[Any, ...]) -> Float32:
        bands, *window = key
        index = np.atleast_1d(np.arange(self.shape[0])[bands])
        images = self._expand(index)
        return images[(slice(None) if isinstance(bands, slice) else 0, *window)]


def _insert(layers: LayerList, position: int, layer: Image) -> None:
    """Add a layer and keep the selection; napari would select it, which is a quarter of the time that adding takes."""
    selection = layers.selection
    if (selected := selection.active) is None:
        layers.insert(position, layer)
        return
    with selection.events.blocker_all():
        layers.insert(position, layer)
        selection.active = selected


def _bring_forward(layers: LayerList, layer: Image) -> None:
    """Show and select a layer, unless it is gone again."""
    if layer in layers:
        layer.visible = True
        layers.selection.active = layer


def _move(layer: Image, geometry: Mapping[str, Any]) -> None:
    for attribute, value in geometry.items():
        if not np.allclose(np.asarray(getattr(layer, attribute)), value, rtol=1e-12):  # setting one redraws
            setattr(layer, attribute, value)


def _cube(frame: Image) -> Cube:
    cube = cube_of(frame)
    assert cube is not None
    return cube


def _looks_of(reference: Image) -> dict[str, Any]:
    return {
        "contrast_limits": reference.contrast_limits,
        "colormap": reference.colormap.name,
        "units": reference.units,
        "axis_labels": reference.axis_labels,
    }

"""Cubes as napari layers: how frames are shown, found again, and placed where registration found them.

Every layer of ours carries its `Cube` in ``metadata["hsimisr"]``; what we computed is named by
``metadata["hsimisr_product"]``, and the refined cube brings along for saving its error bars and provenance, or in
``metadata["hsimisr_not_for_export"]`` the reason why it cannot be saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import dask.array as da
import numpy as np
import numpy.typing as npt
from napari.layers import Image, Layer
from napari.utils.transforms import Affine

from hsimisr.cube import Cube
from hsimisr.io.lazy import by_band
from hsimisr.physics.types import FrameMotion

CUBE, PRODUCT, STD, PROVENANCE = "hsimisr", "hsimisr_product", "hsimisr_std", "hsimisr_provenance"
NOT_FOR_EXPORT = "hsimisr_not_for_export"
AXES = ("band", "y", "x")
LayerData = tuple[Any, dict[str, Any], str]


def frame_layers(cubes: Sequence[Cube]) -> list[LayerData]:
    """Layer data of frames that lie on each other: the first is visible, the others would only cost drawing time."""
    layers = [frame_layer(cube) for cube in cubes]
    for _, attributes, _ in layers[1:]:
        attributes["visible"] = False
    return layers


def frame_layer(cube: Cube) -> LayerData:
    """Layer data of a frame. The band axis has no unit: wavelengths stay with the cube.

    napari reads whole chunks to show one band, so that it gets the data of a plain file in chunks of one band.
    """
    data = by_band(cube.data)
    if data is not cube.data:
        _shown[data.name] = cube
    limits = contrast_limits(data[starting_band(cube)], cube.nodata)
    kwargs = {"name": cube.name, "metadata": {CUBE: cube}, "axis_labels": AXES, "contrast_limits": limits}
    return data, kwargs, "image"


_shown: WeakValueDictionary[str, Cube] = WeakValueDictionary()
"""Cubes whose layers hold the same data in other chunks, by the names of those."""


def _holds(data: object, cube: Cube) -> bool:
    """Whether these are the data of a cube."""
    return data is cube.data or (isinstance(data, da.Array) and _shown.get(data.name) is cube)


def cube_of(layer: object) -> Cube | None:
    """The cube that a layer shows, or None for other layers; plain ``(band, y, x)`` images count as cubes."""
    if not isinstance(layer, Image) or layer.rgb or layer.ndim != 3 or layer.multiscale:
        return None
    stored = layer.metadata.get(CUBE)
    if isinstance(stored, Cube) and _holds(layer.data, stored):
        return stored
    known = _made.get(layer)
    if known is None or known[0] is not layer.data:
        known = _made[layer] = layer.data, cube_of_data(layer.data, stored, layer.name)
    return known[1]


_made: WeakKeyDictionary[Image, tuple[object, Cube]] = WeakKeyDictionary()
"""Cubes made of layers' own data, with those data: the same data stay the same cube."""


def cube_of_data(data: Any, stored: object, name: str) -> Cube:
    """The cube that `data` are: the one stored with the layer, its metadata with new values, or one without any."""
    if isinstance(stored, Cube) and _holds(data, stored):
        return stored
    lazy = data if isinstance(data, da.Array) else da.from_array(data, name=False)
    if isinstance(stored, Cube) and stored.data.shape == lazy.shape:
        return replace(stored, data=lazy, source=None)
    return Cube(lazy, name=name)


def is_frame(layer: object) -> bool:
    """Whether a layer holds measured data: a cube that we did not compute."""
    return isinstance(layer, Image) and PRODUCT not in layer.metadata and cube_of(layer) is not None


def starting_band(cube: Cube) -> int:
    """The band to show first: the usable one nearest to 650 nm (red), else the middle one."""
    good = cube.good if len(cube.good) else np.arange(cube.bands)
    if cube.wavelengths is None:
        return int(good[len(good) // 2])
    return int(good[np.argmin(np.abs(cube.wavelengths[good] - 650))])


def contrast_limits(band: npt.ArrayLike, nodata: float | None = None) -> tuple[float, float]:
    """Limits that show one band ``(y, x)`` well: all but its darkest and brightest percent, from a sample of pixels."""
    lazy: Any = band
    step = max(1, max(lazy.shape) // 512)
    sample = lazy[::step, ::step]
    if isinstance(sample, da.Array):  # not by np.asarray: dask's callbacks are global, napari's fail in two threads
        sample = sample.compute(callbacks=(), scheduler="threads")
    values = np.asarray(sample)
    values = values[np.isfinite(values) & (values != nodata)] if nodata is not None else values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 99)).tolist()
    return (low, high) if high > low else (low, low + 1.0)


def align_frames(motions: Mapping[Image, FrameMotion], reference: Image) -> None:
    """Show every frame where its content lies in the reference: its own placement, then ``M_k^-1``.

    An excluded frame is shown as it was measured: its motion is the very thing that was not believed.
    """
    to_world = _placement(reference)
    unalign_frames(layer for layer, motion in motions.items() if motion.excluded)
    for layer, motion in motions.items():
        if motion.excluded:
            continue
        inverse, m = np.eye(4), np.linalg.inv(motion.matrix)
        inverse[1:3, 1:3], inverse[1:3, 3] = m[:2, :2], m[:2, 2]
        _place(layer, to_world @ inverse @ np.linalg.inv(_placement(layer)))


def unalign_frames(frames: Iterable[Image]) -> None:
    """Show the frames pixel on pixel, as they were measured."""
    for layer in frames:
        _place(layer, np.eye(4))


def plane_to_world(layer: Layer, origin_yx: tuple[float, float] = (0.0, 0.0)) -> npt.NDArray[np.float64]:
    """Where a layer shows its pixels, its affine included: 3x3, from ``(y, x, 1)`` counted from `origin_yx` to world.

    For overlays without a band axis; of other axes that a layer has, the first place counts.
    """
    (y, x), before = origin_yx, (0.0,) * (layer.ndim - 2)
    points = ((y, x), (y + 1, x), (y, x + 1))
    zero, down, right = (layer.data_to_world((*before, *point))[-2:] for point in points)
    matrix = np.eye(3)
    matrix[:2] = np.stack([np.subtract(down, zero), np.subtract(right, zero), zero], axis=1)
    return matrix


def _place(layer: Image, affine: npt.NDArray[np.float64]) -> None:
    if not np.allclose(layer.affine.affine_matrix, affine, rtol=0, atol=1e-12):  # setting it redraws the layer
        layer.affine = affine


def _placement(layer: Image) -> npt.NDArray[np.float64]:
    """Data to world as a 4x4 matrix, without the layer's affine."""
    placed = Affine(scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear)
    return np.asarray(placed.affine_matrix, float)

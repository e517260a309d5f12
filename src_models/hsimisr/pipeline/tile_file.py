"""One tile on disk: a Zarr group that is there only when it is complete, of which any part can be read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import zarr

from hsimisr.errors import WriteError
from hsimisr.geometry import Grid, View
from hsimisr.physics.types import Estimate, Float32, SceneModel, Subspace
from hsimisr.pipeline.tiles import overlap, place

CHUNK_YX = 128
CHUNK_BANDS = 64
MAPS = ("learned", "determined")
"""Fields of an estimate that are maps ``(h, w)`` on the LR grid, or None."""


def write_tile(path: Path, estimate: Estimate) -> None:
    """Write the estimate of a tile; does nothing where another process has finished the same tile meanwhile.

    Raises:
        WriteError: the folder cannot be written, or the disk is full.
    """
    try:
        _write(path, estimate)
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({error.strerror or error}); check permissions and free space"
        ) from error


def read_tile(path: Path, tile: View, scene: SceneModel, area: View, bands: slice) -> Estimate:
    """The part of a tile's estimate that shows an area which it reaches into, for some of the bands."""
    group = zarr.open_group(path, mode="r")
    shared = overlap(tile, area)
    assert shared is not None
    hr, lr = place(shared, tile, scene.scale), place(shared, tile, 1)
    images = {name: np.asarray(_array(group, name)[:, *hr]) for name in ("mean", "variance") if name in group}
    return Estimate(
        **images,
        subspace=_only_bands(scene.subspace, bands),
        grid=Grid.of_view(shared, scene.scale),
        residual=np.asarray(_array(group, "residual")[bands, *lr]) if "residual" in group else None,
        measured=np.asarray(_array(group, "measured")[lr]),
        **{name: np.asarray(_array(group, name)[lr]) for name in MAPS if name in group},
        method=str(group.attrs["method"]),
    )


def read_spread(path: Path) -> npt.NDArray[np.float64] | None:
    """The variance per band ``(B,)`` that a tile found outside the subspace, or None."""
    group = zarr.open_group(path, mode="r")
    return np.asarray(_array(group, "residual_variance")[:]) if "residual_variance" in group else None


def read_map(path: Path, name: str) -> Float32 | None:
    """One of a tile's maps ``(h, w)``, or None where it has none."""
    group = zarr.open_group(path, mode="r")
    return np.asarray(_array(group, name)[:]) if name in group else None


def measured_anywhere(path: Path) -> bool:
    """Whether any frame holds data in a tile."""
    return bool(np.asarray(_array(zarr.open_group(path, mode="r"), "measured")[:]).any())


def _write(path: Path, estimate: Estimate) -> None:
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    group = zarr.create_group(part, attributes={"method": estimate.method})
    for name in ("mean", "variance", "residual"):
        image = getattr(estimate, name)
        if image is not None:
            chunks = tuple(min(a, b) for a, b in zip(image.shape, (CHUNK_BANDS, CHUNK_YX, CHUNK_YX), strict=True))
            # a chunk that a power cut loses is read as NaN, not as zeros
            group.create_array(name, data=image, chunks=chunks, fill_value=np.nan)
    if estimate.residual_variance is not None:
        group.create_array("residual_variance", data=estimate.residual_variance)
    for name in MAPS:
        image = getattr(estimate, name)
        if image is not None:
            group.create_array(name, data=image)
    measured = np.ones(estimate.grid.view.shape, bool) if estimate.measured is None else estimate.measured
    group.create_array("measured", data=measured)
    try:
        part.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        shutil.rmtree(part)


def _only_bands(subspace: Subspace, bands: slice) -> Subspace:
    return replace(
        subspace,
        mean=subspace.mean[bands],
        sigma=subspace.sigma[bands],
        vectors=subspace.vectors[bands],
        bad=subspace.bad[bands],
    )


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array

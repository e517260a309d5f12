"""Zarr groups: `cube` and `std` (band, y, x), written chunk by chunk, `determined` (y, x), metadata as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from hsimisr.cube import Cube
from hsimisr.io.choose import DETERMINED, STD
from hsimisr.io.compute import store
from hsimisr.io.crs import in_metres
from hsimisr.io.read_zarr import RECORD

CHUNK = 64


def write(path: Path, cube: Cube, std: Cube | None, record: str, determined: npt.NDArray[np.float32] | None) -> None:
    """Write the group."""
    group = zarr.create_group(path, attributes={RECORD: record, "ome": _multiscales(cube)})
    for name, image in (("cube", cube), (STD, std)):
        if image is None:
            continue
        array = group.create_array(
            name,
            shape=image.data.shape,
            dtype=image.data.dtype.newbyteorder("="),
            chunks=tuple(min(size, CHUNK) for size in image.data.shape),
            dimension_names=("band", "y", "x"),
        )
        whole_chunks = image.data.rechunk(tuple(-(-size // CHUNK) * CHUNK for size in image.data.chunksize))
        store(whole_chunks, array)
    if determined is not None:
        group.create_array(DETERMINED, data=determined, dimension_names=("y_frame", "x_frame"))
    vectors = {"wavelength_nm": cube.wavelengths, "fwhm_nm": cube.fwhm, "bad_bands": cube.bad.astype(np.uint8)}
    for name, values in vectors.items():
        if values is not None:
            group.create_array(name, data=values, dimension_names=("band",))


def _multiscales(cube: Cube) -> dict[str, Any]:
    """What OME-NGFF 0.5 wants to know: one level, with the size of its pixels where the grid is not turned."""
    x, y, turned = 1.0, 1.0, True
    if cube.transform is not None:
        _, dx, rx, _, ry, dy = cube.transform
        x, y, turned = abs(dx), abs(dy), bool(rx or ry)
    scale = [1.0, 1.0, 1.0] if turned else [1.0, y, x]
    unit = {"unit": "meter"} if not turned and cube.crs is not None and in_metres(cube.crs) else {}
    axes = [{"name": "band", "type": "channel"}, *({"name": name, "type": "space", **unit} for name in "yx")]
    level = {"path": "cube", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    return {"version": "0.5", "multiscales": [{"name": cube.name, "axes": axes, "datasets": [level]}]}

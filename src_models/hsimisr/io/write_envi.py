"""ENVI: a header and a band-sequential data file, written chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spectral.io import envi

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.compute import store
from hsimisr.io.crs import map_info, to_wkt
from hsimisr.io.read_envi import RECORD_KEY, RECORD_MARK
from hsimisr.io.room import check_room

PER_LINE = 8


def write(path: Path, cube: Cube, std: Cube | None, record: str) -> None:
    """Write ``stem.hdr`` and ``stem.img``; a standard deviation as ``stem_std.hdr`` and ``stem_std.img``."""
    _write_one(path, cube, record)
    if std is not None:
        _write_one(path.with_name(f"{path.stem}_std{path.suffix}"), std, record)


def _write_one(path: Path, cube: Cube, record: str) -> None:
    dtype = cube.data.dtype.newbyteorder("=")
    if dtype.char not in envi.dtype_to_envi:
        raise WriteError(f"{path.name}: ENVI has no type {dtype}; convert the cube to float32, or save it as .npz")
    check_room(path, cube.data.nbytes)
    data_path = path.with_suffix(".img")
    target = np.memmap(data_path, dtype.newbyteorder("<"), "w+", shape=cube.data.shape)
    store(cube.data, target)
    target.flush()
    envi.write_envi_header(path, _header(cube, dtype, record))


def _header(cube: Cube, dtype: np.dtype[Any], record: str) -> dict[str, Any]:
    height, width = cube.shape_yx
    header: dict[str, Any] = {
        "description": cube.name,
        "samples": width,
        "lines": height,
        "bands": cube.bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": envi.dtype_to_envi[dtype.char],
        "interleave": "bsq",
        "byte order": 0,
    }
    if cube.wavelengths is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": _lines(cube.wavelengths.tolist())}
    if cube.fwhm is not None:
        header["fwhm"] = _lines(cube.fwhm.tolist())
    if cube.bad.any():
        header["bbl"] = _lines((~cube.bad).astype(int).tolist())
    if cube.nodata is not None:
        header["data ignore value"] = cube.nodata
    if cube.scale_factor != 1:
        header["reflectance scale factor"] = 1 / cube.scale_factor
    grid = None if cube.transform is None else map_info(cube.transform, cube.crs)
    if grid is not None:
        header["map info"] = grid
    wkt = None if cube.crs is None else to_wkt(cube.crs)
    if wkt is not None:
        header["coordinate system string"] = "{" + " ".join(wkt.split()) + "}"
    return {**header, RECORD_KEY: RECORD_MARK + record}


def _lines(values: Sequence[float]) -> str:
    """A list in braces over several lines: GDAL leaves out what stands on lines of more than 10000 characters."""
    rows = [values[start : start + PER_LINE] for start in range(0, len(values), PER_LINE)]
    return "{\n" + ",\n".join(", ".join(map(str, row)) for row in rows) + "}"

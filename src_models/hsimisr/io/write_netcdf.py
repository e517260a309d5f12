"""NetCDF-4 with CF conventions, written chunk by chunk through HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.choose import DETERMINED, STD
from hsimisr.io.compute import store
from hsimisr.io.crs import cf_mapping, in_metres, is_geographic, to_wkt
from hsimisr.io.read_hdf5 import RECORD
from hsimisr.io.stored import Transform

MAPPING = "spatial_ref"


def write(path: Path, cube: Cube, std: Cube | None, record: str, determined: npt.NDArray[np.float32] | None) -> None:
    """Write the variables `cube`, `std` and `determined` with their coordinates."""
    if cube.data.dtype.kind not in "uif" or cube.data.dtype == np.float16:
        raise WriteError(f"{path.name}: NetCDF has no type {cube.data.dtype}; convert the cube to float32")
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["Conventions"] = "CF-1.8"
        _dimensions(file, cube)
        _variable(file, "cube", cube, cube.name)
        if std is not None:
            _variable(file, STD, std, "standard deviation of the cube")
        if determined is not None:
            _map(file, DETERMINED, determined)
        beside = [name for name, there in ((STD, std), (DETERMINED, determined)) if there is not None]
        if beside:
            file["cube"].attrs["ancillary_variables"] = " ".join(beside)
        file.create_dataset(RECORD, data=record, dtype=h5py.string_dtype())


def _dimensions(file: h5py.File, cube: Cube) -> None:
    height, width = cube.shape_yx
    _dimension(file, "band", np.arange(cube.bands), long_name="band number")
    x0, dx, rx, y0, ry, dy = cube.transform or (-0.5, 1.0, 0.0, -0.5, 0.0, 1.0)
    crs = None if cube.transform is None else cube.crs
    if rx or ry:  # coordinates along the axes cannot express a rotated grid; the grid mapping does
        x0, dx, y0, dy, crs = -0.5, 1.0, -0.5, 1.0, None
    _dimension(file, "y", y0 + dy * (np.arange(height) + 0.5), **_axis("y", crs), long_name="pixel centre")
    _dimension(file, "x", x0 + dx * (np.arange(width) + 0.5), **_axis("x", crs), long_name="pixel centre")
    if cube.transform is not None:
        _mapping(file, cube.transform, cube.crs)
    if cube.wavelengths is not None:
        _along_band(file, "wavelength", cube.wavelengths, units="nm", standard_name="radiation_wavelength")
    if cube.fwhm is not None:
        _along_band(file, "fwhm", cube.fwhm, units="nm", long_name="band width at half maximum")
    _along_band(file, "bad_bands", cube.bad.astype(np.int8), long_name="1 where a band holds no usable data")


def _axis(name: str, crs: str | None) -> dict[str, str]:
    """What the CF conventions want to know of an axis (sections 4.1, 4.2 and 5.6)."""
    geographic = None if crs is None else is_geographic(crs)
    if crs is None or geographic is None:
        return {"axis": name.upper()}
    if geographic:
        degrees = {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")}[name]
        return {"axis": name.upper(), "standard_name": degrees[0], "units": degrees[1]}
    unit = {"units": "m"} if in_metres(crs) else {}
    return {"axis": name.upper(), "standard_name": f"projection_{name}_coordinate", **unit}


def _mapping(file: h5py.File, transform: Transform, crs: str | None) -> None:
    mapping = file.create_dataset(MAPPING, data=np.int32(0))
    mapping.attrs["GeoTransform"] = " ".join(repr(float(value)) for value in transform)
    mapping.attrs.update({} if crs is None else cf_mapping(crs))
    wkt = None if crs is None else to_wkt(crs)
    if wkt is not None:
        mapping.attrs["crs_wkt"] = wkt
    if crs is not None and crs != wkt:
        mapping.attrs["epsg_code"] = crs


def _variable(file: h5py.File, name: str, cube: Cube, long_name: str) -> None:
    dtype = cube.data.dtype.newbyteorder("=")
    chunks = tuple(min(size, 64) for size in cube.data.shape)
    fill = None
    if cube.nodata is not None and (dtype.kind == "f" or cube.nodata == np.asarray(cube.nodata).astype(dtype)):
        fill = dtype.type(cube.nodata)
    variable = file.create_dataset(
        name,
        cube.data.shape,
        dtype,
        chunks=chunks,
        fillvalue=fill,
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    for axis, dimension in enumerate(("band", "y", "x")):
        variable.dims[axis].attach_scale(file[dimension])
    if fill is not None:
        variable.attrs["_FillValue"] = np.array([fill])
    variable.attrs["long_name"] = long_name
    if cube.scale_factor != 1:
        variable.attrs["scale_factor"] = cube.scale_factor
    if MAPPING in file:
        variable.attrs["grid_mapping"] = MAPPING
    if cube.wavelengths is not None:
        variable.attrs["coordinates"] = "wavelength"
    store(cube.data, variable, lock=True)


def _map(file: h5py.File, name: str, image: npt.NDArray[np.float32]) -> None:
    """An image on the grid of the LR frames, which shares its corners with the cube's."""
    variable = file.create_dataset(name, data=image, compression="gzip", compression_opts=1)
    variable.attrs.update({"long_name": "share of the detail that the frames determine", "units": "1"})
    for axis, dimension in enumerate(("y", "x")):
        along = np.asarray(file[dimension])
        centres = along.reshape(image.shape[axis], -1).mean(1)
        _dimension(file, f"{dimension}_frame", centres, long_name="pixel centre of the frames")
        variable.dims[axis].attach_scale(file[f"{dimension}_frame"])


def _dimension(file: h5py.File, name: str, values: npt.NDArray[Any], **attributes: str) -> None:
    scale = file.create_dataset(name, data=values)
    scale.make_scale(name)
    scale.attrs.update(attributes)


def _along_band(file: h5py.File, name: str, values: npt.NDArray[Any], **attributes: str) -> None:
    dataset = file.create_dataset(name, data=values)
    dataset.dims[0].attach_scale(file["band"])
    dataset.attrs.update(attributes)

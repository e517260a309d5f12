"""HDF5 in the layouts of NEON and EMIT, NetCDF-4 with CF conventions, and other HDF5 files with an image in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsimisr.errors import ReadError
from hsimisr.io.band_tables import find_band_table, is_band_vector
from hsimisr.io.choose import Entry, check_real, choose
from hsimisr.io.hdf5_georeference import georeference
from hsimisr.io.lazy import Data, lazy
from hsimisr.io.stored import BandTable, Stored

RECORD = "hsimisr_record"
_DIMENSIONS = {
    "b": {"band", "bands", "wavelength", "wavelengths", "lambda", "channel", "channels", "spectral", "z"},
    "y": {"y", "lat", "latitude", "row", "rows", "line", "lines", "downtrack", "northing"},
    "x": {"x", "lon", "longitude", "column", "columns", "col", "sample", "samples", "crosstrack", "easting"},
    "k": {"frame", "frames", "time", "k"},
}


class Hdf5Array:
    """A dataset of an HDF5 file, which is opened for each read."""

    ndim = property(lambda self: len(self.shape))

    def __init__(self, path: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.path, self.name, self.dtype, self.shape = path, name, dtype, shape

    def __getitem__(self, key: Any) -> Data:
        with h5py.File(self.path) as file:
            return np.asarray(file[self.name][key])


def read(path: Path, variable: str | None) -> Stored:
    """Read the cube of an HDF5 or NetCDF-4 file: the largest image in any group, or the named one.

    Raises:
        ReadError: not HDF5, damaged, or without a cube.
    """
    try:
        with h5py.File(path) as file:
            return _read(path, file, variable)
    except (OSError, RuntimeError, KeyError) as error:
        raise ReadError(f"{path}: cannot be read as HDF5 ({error}); it may be cut off, copy it again") from error


def _read(path: Path, file: h5py.File, variable: str | None) -> Stored:
    datasets = _datasets(file)
    entries = [Entry(name, item.shape, item.dtype) for name, item in datasets.items()]
    chosen, notes = choose(path, entries, variable)
    check_real(path, chosen)
    dataset = datasets[chosen.name]
    transform, crs = georeference(file, dataset, list(datasets))
    nodata = _attribute(dataset, "_FillValue", "missing_value", "Data_Ignore_Value")
    return Stored(
        lazy(Hdf5Array(path, chosen.name, dataset.dtype, dataset.shape), dataset.chunks),
        axes=_axes(dataset),
        habit="yxb",
        bands=_bands(datasets),
        nodata=nodata,
        scale_factor=_scale_factor(dataset),
        crs=crs,
        transform=transform,
        notes=notes,
        record=str(file[RECORD].asstr()[()]) if RECORD in file else None,
    )


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def keep(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(keep)
    return found


def _axes(dataset: h5py.Dataset) -> str | None:
    """One letter per axis by the names of its dimensions, or None unless all are known."""
    letters = []
    for dimension in dataset.dims:
        names = [scale.name.rsplit("/", 1)[-1].lower() for scale in dimension.values()] + [dimension.label.lower()]
        letters.append(next((a for a, known in _DIMENSIONS.items() if known.intersection(names)), "?"))
    axes = "".join(letters)
    return axes if sorted(axes) in (sorted("byx"), sorted("yx"), sorted("kbyx")) else None


def _bands(datasets: dict[str, h5py.Dataset]) -> BandTable:
    vectors, units = {}, {}
    for name, dataset in datasets.items():
        if dataset.ndim == 1 and is_band_vector(name):
            vectors[name] = np.asarray(dataset[()])
            unit = dataset.attrs.get("units", dataset.attrs.get("Units"))
            if unit is not None:
                units[name] = _text(unit)
    return find_band_table(vectors, units)


def _scale_factor(dataset: h5py.Dataset) -> float:
    factor = _attribute(dataset, "scale_factor")
    if factor is not None:
        return factor
    divisor = _attribute(dataset, "Scale_Factor")  # NEON divides by it
    return 1.0 / divisor if divisor else 1.0


def _attribute(dataset: h5py.Dataset, *names: str) -> float | None:
    """The first of these attributes that is a number."""
    for name in names:
        value = np.ravel(dataset.attrs.get(name, []))
        if value.size and value.dtype.kind in "uif":
            return float(value[0])
    return None


def _text(value: object) -> str:
    value = value[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode() if isinstance(value, bytes) else str(value)

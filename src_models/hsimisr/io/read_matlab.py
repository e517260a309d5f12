"""MATLAB files: up to version 7 through scipy, version 7.3 (which is HDF5) through h5py."""

from __future__ import annotations

import re
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from hsimisr.errors import ReadError
from hsimisr.io.band_tables import find_band_table, is_band_vector
from hsimisr.io.choose import Entry, check_real, choose
from hsimisr.io.lazy import Data, WholeArray, lazy, turned
from hsimisr.io.read_hdf5 import Hdf5Array
from hsimisr.io.stored import Stored

HABIT = "yxb"
RECORD = "hsimisr_record"
_CLASSES = {
    "double": "f8", "single": "f4", "logical": "bool",
    **{f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip
_ROWS = re.compile(r"^(n_?rows?|rows|lines|height|h)$", re.IGNORECASE)
_COLUMNS = re.compile(r"^(n_?col(umn)?s?|cols|columns|samples|width|w)$", re.IGNORECASE)

STUMBLES = (
    MatReadError, zlib.error, OSError, EOFError, NotImplementedError, ValueError, TypeError, LookupError,
    UnboundLocalError, ZeroDivisionError,
)  # fmt: skip
"""What scipy raises for damaged bytes, as some thousand files with a few of them changed showed: it checks few of them,
and trips over the others later. Not among them: MemoryError, which a sound file may bring about too."""


def read(path: Path, variable: str | None) -> Stored:
    """Read the cube of a MATLAB file: the largest 3-D array, the named one, or a table of pixels with its sizes.

    Raises:
        ReadError: not a MATLAB file, damaged, or without a cube.
    """
    file = _Hdf5File(path) if h5py.is_hdf5(path) else _ClassicFile(path)
    entries = file.entries()
    small = [e for e in entries if max(e.shape, default=0) <= 65536 and sum(s > 1 for s in e.shape) <= 1]
    rows, columns = (_scalar(file, small, pattern) for pattern in (_ROWS, _COLUMNS))
    pixels = None if rows is None or columns is None else rows * columns
    chosen, notes = choose(path, entries, variable, pixels)
    check_real(path, chosen)
    array = file.lazy_array(chosen)
    check_real(path, Entry(chosen.name, array.shape, array.dtype))
    vectors = {e.name: np.ravel(file.load(e.name)) for e in small if is_band_vector(e.name)}
    record = str(np.ravel(file.load(RECORD))[0]) if any(e.name == RECORD for e in entries) else None
    axes, bands = HABIT if record is not None and len(chosen.shape) == 3 else None, find_band_table(vectors)
    if len(chosen.shape) == 2 and pixels is not None and pixels in chosen.shape and rows and columns:
        # MATLAB counts pixels down the columns first
        if chosen.shape[0] == pixels:
            array = array.T
        array = array.rechunk((-1, -1)).reshape((-1, columns, rows))
        axes, notes = "bxy", (*notes, f"{chosen.name} is a table of {pixels} pixels; reshaped to {rows} x {columns}")
    return Stored(array, axes=axes, habit=HABIT, bands=bands, notes=notes, record=record)


class _ClassicFile:
    """MATLAB 4 to 7; arrays are compressed whole, so they are loaded whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        try:
            listing = whosmat(self.path)
        except STUMBLES as error:
            raise _damaged(self.path, error) from error
        return [Entry(name, tuple(shape), np.dtype(_CLASSES.get(kind, "O"))) for name, shape, kind in listing]

    def load(self, name: str) -> Data:
        return _load(self.path, name)

    def lazy_array(self, entry: Entry) -> da.Array:
        values = self.load(entry.name)  # its type is not known before: class double may be complex or compact integers
        return lazy(WholeArray(partial(_load, self.path, entry.name), values.shape, values.dtype, values))


class _Hdf5File:
    """MATLAB 7.3: HDF5 with the axes in reverse order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        try:
            with h5py.File(self.path) as file:
                datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
                return [Entry(name, item.shape[::-1], _type(item)) for name, item in datasets.items()]
        except (OSError, RuntimeError, KeyError) as error:
            raise _damaged(self.path, error) from error

    def load(self, name: str) -> Data:
        with h5py.File(self.path) as file:
            return np.asarray(file[name][()]).T

    def lazy_array(self, entry: Entry) -> da.Array:
        with h5py.File(self.path) as file:
            chunks = file[entry.name].chunks
        array = Hdf5Array(self.path, entry.name, entry.dtype, entry.shape[::-1])
        return turned(lazy(array, chunks), range(len(array.shape))[::-1])


def _type(dataset: h5py.Dataset) -> np.dtype[Any]:
    if dataset.dtype.names == ("real", "imag"):
        return np.dtype("c16")
    kind = dataset.attrs.get("MATLAB_class", b"")
    return np.dtype("O") if kind in (b"cell", b"char", b"struct") else dataset.dtype


def _load(path: Path, name: str) -> Data:
    try:
        return np.asarray(loadmat(path, variable_names=[name])[name])
    except STUMBLES as error:
        raise _damaged(path, error) from error


def _scalar(file: _ClassicFile | _Hdf5File, small: list[Entry], name: re.Pattern[str]) -> int | None:
    for entry in small:
        if name.match(entry.name) and set(entry.shape) <= {1} and entry.dtype.kind in "uif":
            return int(np.ravel(file.load(entry.name))[0])
    return None


def _damaged(path: Path, error: Exception) -> ReadError:
    return ReadError(f"{path}: cannot be read as a MATLAB file ({error}); it may be cut off, copy or save it again")

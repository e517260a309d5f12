"""NumPy files: single arrays (.npy) and archives (.npz)."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from hsimisr.errors import ReadError
from hsimisr.io.band_tables import find_band_table, is_band_vector
from hsimisr.io.choose import Entry, check_real, choose
from hsimisr.io.lazy import Data, MappedArray, WholeArray, lazy, turned
from hsimisr.io.stored import Stored

RECORD = "record"


def read_npy(path: Path) -> Stored:
    """Read a .npy file, mapped into memory.

    Raises:
        ReadError: not a NumPy file, cut off, or not an image of real numbers.
    """
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _header(file)
            offset = file.tell()
    except (ValueError, OSError) as error:
        raise ReadError(f"{path}: cannot be read as a NumPy array ({error}); save it again with numpy.save") from error
    check_real(path, Entry("the array", shape, dtype))
    expected, actual = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, path.stat().st_size
    if actual < expected:
        raise ReadError(f"{path}: cut off: {actual} bytes, but {shape} {dtype} needs {expected}; copy it again")
    array = lazy(MappedArray(path, dtype, shape[::-1] if fortran else shape, offset))
    return Stored(turned(array, range(array.ndim)[::-1]) if fortran else array)


def read_npz(path: Path, variable: str | None) -> Stored:
    """Read a .npz archive; its cube is loaded whole, since the archive may be compressed.

    Raises:
        ReadError: not an archive of arrays, damaged, or without a cube.
    """
    entries = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    shape, _, dtype = _header(file)  # type: ignore[arg-type]  # a zip member reads like a file
                entries.append(Entry(member.removesuffix(".npy"), shape, dtype))
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    chosen, notes = choose(path, entries, variable)
    check_real(path, chosen)
    vectors = {e.name: _load(path, e.name) for e in entries if len(e.shape) == 1 and is_band_vector(e.name)}
    record = str(_load(path, RECORD)) if any(e.name == RECORD for e in entries) else None
    bands = find_band_table(vectors)
    if len(chosen.shape) == 2 and bands.length in chosen.shape:
        raise ReadError(f"{path}: {chosen} is a table of spectra without an image; choose an image cube")
    array = lazy(WholeArray(partial(_load, path, chosen.name), chosen.shape, chosen.dtype))
    axes = "byx" if record is not None and len(chosen.shape) == 3 else None
    return Stored(array, axes=axes, bands=bands, notes=notes, record=record)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _load(path: Path, name: str) -> Data:
    try:
        with np.load(path) as archive:
            return np.asarray(archive[name])
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ReadError:
    return ReadError(f"{path}: cannot be read as a NumPy archive ({error}); it may be cut off, copy or save it again")

"""Lazy arrays on files that hold no handle: each chunk opens the file, reads and closes it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from weakref import WeakValueDictionary

import dask.array as da
import numpy as np
import numpy.typing as npt

CHUNK_BYTES = 16 * 2**20
Data = npt.NDArray[Any]


class FileArray(Protocol):
    """An array in a file; indexing reads, and the object can be sent to another process."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, key: Any) -> Any: ...


def lazy(array: FileArray, stored_chunks: tuple[int, ...] | None = None) -> da.Array:
    """A dask array in balanced chunks, so that a band and a spectrum cost about the same to read.

    Args:
        array: the array in the file.
        stored_chunks: the file's own chunks; the dask chunks are whole multiples of them.
    """
    chunks = da.core.normalize_chunks(
        "auto", array.shape, limit=CHUNK_BYTES, dtype=array.dtype, previous_chunks=stored_chunks
    )
    return _in_chunks(_NativeOrder(array), chunks)


def turned(array: da.Array, order: Sequence[int]) -> da.Array:
    """An array of `lazy` with its axes in another order, as `transpose` gives.

    They are turned where the file is read: dask passes a slice on to the file, but not through a transposition, so that
    one band would take as much reading as all bands of its chunks.
    """
    if list(order) == list(range(array.ndim)):
        return array
    source = _sources.get(array.name)
    if source is None:
        return array.transpose(order)
    return _in_chunks(_Turned(source, order), tuple(array.chunks[axis] for axis in order))


def by_band(array: da.Array) -> da.Array:
    """An array ``(band, y, x)`` of a plain file in chunks of one band each; any other array as it is.

    For viewers that read whole chunks: a plain file costs no more by the band, however it is stored.
    """
    source = _sources.get(array.name)
    inner: Any = source
    while isinstance(inner, _Turned | _NativeOrder):
        inner = inner.array
    return _in_chunks(source, (1, *array.shape[1:])) if source and isinstance(inner, MappedArray) else array


def _in_chunks(source: FileArray, chunks: Any) -> da.Array:
    meta = np.empty((0,) * len(source.shape), source.dtype)
    array: da.Array = da.from_array(source, chunks, name=False, meta=meta, asarray=True)
    _sources[array.name] = source
    return array


_sources: WeakValueDictionary[str, FileArray] = WeakValueDictionary()
"""What dask arrays read from, by their names; their graphs keep it alive."""


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same type in this machine's byte order."""
    return dtype.newbyteorder("=")


class MappedArray:
    """A plain array of `dtype` and `shape` that starts `offset` bytes into a file."""

    ndim = property(lambda self: len(self.shape))

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0) -> None:
        self.path, self.dtype, self.shape, self.offset = path, dtype, shape, offset

    def __getitem__(self, key: Any) -> Data:
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[key])


class WholeArray:
    """An array of a file that can only be read as a whole: loaded at the first access and kept while it is in use."""

    ndim = property(lambda self: len(self.shape))

    def __init__(
        self, load: Callable[[], Data], shape: tuple[int, ...], dtype: np.dtype[Any], values: Data | None = None
    ) -> None:
        self.load, self.shape, self.dtype = load, shape, dtype
        self._values = values
        self._lock = Lock()

    def __getitem__(self, key: Any) -> Data:
        with self._lock:
            if self._values is None:
                self._values = self.load()
        return np.asarray(self._values[key])

    def __reduce__(self) -> tuple[type[WholeArray], tuple[Any, ...]]:
        return WholeArray, (self.load, self.shape, self.dtype)


class _NativeOrder:
    """A file array that reads in this machine's byte order (torch knows no other)."""

    ndim = property(lambda self: len(self.shape))

    def __init__(self, array: FileArray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, native(array.dtype)

    def __getitem__(self, key: Any) -> Data:
        return np.asarray(self.array[key], dtype=self.dtype)


class _Turned:
    """A file array with its axes in another order."""

    ndim = property(lambda self: len(self.shape))

    def __init__(self, array: FileArray, order: Sequence[int]) -> None:
        self.array, self.order, self.dtype = array, tuple(order), array.dtype
        self.shape = tuple(array.shape[axis] for axis in order)

    def __getitem__(self, key: Any) -> Data:
        keys = (*key, *(slice(None),) * (len(self.order) - len(key)))
        places = [slice(int(k), int(k) + 1) if isinstance(k, int | np.integer) else k for k in keys]
        stored = tuple(places[self.order.index(axis)] for axis in range(len(self.order)))
        values = np.asarray(self.array[stored]).transpose(self.order)
        return values[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in keys)]

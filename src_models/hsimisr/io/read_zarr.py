"""Zarr arrays and groups of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.errors import BaseZarrError

from hsimisr.errors import ReadError
from hsimisr.io.band_tables import find_band_table, is_band_vector
from hsimisr.io.choose import Entry, check_real, choose
from hsimisr.io.lazy import lazy
from hsimisr.io.stored import Stored

RECORD = "hsimisr_record"


def read(path: Path, variable: str | None) -> Stored:
    """Read a Zarr store: its only array, the largest image of its group, or the named one.

    Raises:
        ReadError: not a Zarr store, damaged, or without a cube.
    """
    try:
        node = zarr.open(path, mode="r")
    except (BaseZarrError, FileNotFoundError, ValueError, KeyError) as error:
        raise ReadError(f"{path}: cannot be read as a Zarr store ({error}); copy or write it again") from error
    if isinstance(node, zarr.Array):
        arrays: dict[str, zarr.Array[Any]] = {"the array": node}
        if variable is not None:
            raise ReadError(f"{path}: is a single Zarr array; open it without :{variable}")
    else:
        arrays = {name: item for name, item in node.members(max_depth=None) if isinstance(item, zarr.Array)}
    entries = [Entry(name, item.shape, np.dtype(item.dtype)) for name, item in arrays.items()]
    chosen, notes = choose(path, entries, variable)
    check_real(path, chosen)
    vectors = {name: np.asarray(item[:]) for name, item in arrays.items() if item.ndim == 1 and is_band_vector(name)}
    record = node.attrs.get(RECORD)
    array = arrays[chosen.name]
    return Stored(
        lazy(array, array.chunks),
        axes=_axes(array),
        bands=find_band_table(vectors),
        notes=notes,
        record=record if isinstance(record, str) else None,
    )


def _axes(array: zarr.Array[Any]) -> str | None:
    """The axes by the array's dimension names, or None where they say nothing."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    axes = "".join({"band": "b", "frame": "k"}.get(name or "", name or "?") for name in names)
    return axes if sorted(axes) in (sorted("byx"), sorted("yx"), sorted("kbyx")) else None

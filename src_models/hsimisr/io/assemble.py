"""From what a reader found to a cube: band axis, nanometres, bad bands, and the checks every file goes through."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from hsimisr.cube import Cube, CubeSource
from hsimisr.errors import ReadError
from hsimisr.io.axes import find_axes
from hsimisr.io.empty_bands import empty_bands
from hsimisr.io.lazy import turned
from hsimisr.io.record import refine
from hsimisr.io.stored import BandTable, Stored
from hsimisr.io.wavelengths import to_nanometres

DAMAGED = (OSError, ValueError, RuntimeError, EOFError, zlib.error, struct.error)
"""What reading the data of a damaged file may raise."""


def orient(stored: Stored) -> Stored:
    """The same array with the axes ``(band, y, x)`` or ``(frame, band, y, x)``, and a note where they were guessed."""
    array, axes, notes = stored.array, stored.axes, stored.notes
    if axes is None and array.ndim == 2:
        axes = "yx"
    if axes is None:
        shape = array.shape
        frame_first = stored.habit.startswith("b")
        if array.ndim == 4:
            shape = shape[1:] if frame_first else shape[:-1]
        axes, note = find_axes(shape, stored.bands.length, stored.habit)
        notes = (*notes, note)
        if array.ndim == 4:
            axes = f"k{axes}" if frame_first else f"{axes}k"
    if "b" not in axes:
        array, axes = array[..., None], f"{axes}b"
    wanted = "kbyx" if "k" in axes else "byx"
    return replace(stored, array=turned(array, [axes.index(a) for a in wanted]), axes=wanted, notes=notes)


def frame_count(oriented: Stored, bands_as_frames: bool) -> int:
    """How many frames an oriented array holds."""
    if oriented.array.ndim == 4 or bands_as_frames:
        return int(oriented.array.shape[0])
    return 1


def to_cube(oriented: Stored, source: CubeSource) -> Cube:
    """The cube that `source` names in an oriented array.

    Raises:
        ReadError: the frame is not there or none was named, the file holds no data, or its data cannot be decoded.
    """
    path = Path(source.path)
    data = _pick(oriented, source)
    name = path.name.removesuffix(path.suffix)
    name = name if source.variable is None else f"{name}:{source.variable}"
    name = name if source.index is None else f"{name}#{source.index}"
    notes = oriented.notes
    fields: dict[str, Any] = {
        "nodata": oriented.nodata,
        "scale_factor": oriented.scale_factor,
        "crs": oriented.crs,
        "transform": oriented.transform,
        "extra": dict(oriented.extra),
        "bad": np.zeros(data.shape[0], bool),
    }
    if source.bands_as_frames:
        notes = (*notes, f"its {oriented.array.shape[0]} images are taken as frames of one band each")
    else:
        band_fields, band_notes = _describe_bands(oriented.bands, data.shape[0])
        fields |= band_fields
        notes = (*notes, *band_notes)
        if oriented.record is not None:
            fields, record_notes = refine(fields, oriented.record, data.shape)
            notes = (*notes, *record_notes)
    bad = fields.pop("bad")
    try:
        empty = empty_bands(data, fields["nodata"])
    except DAMAGED as error:
        raise ReadError(f"{path}: its data cannot be decoded ({error}); it is damaged, copy it again") from error
    if empty.all():
        raise ReadError(f"{path}: holds no data: every value of {name} is zero, NaN or nodata; take another file")
    if (empty & ~bad).any():
        notes = (*notes, f"{int((empty & ~bad).sum())} bands hold no data and are marked bad")
    return Cube(data, bad=bad | empty, name=name, source=source, notes=notes, **fields)


def _pick(oriented: Stored, source: CubeSource) -> da.Array:
    array, index = oriented.array, source.index
    count = frame_count(oriented, source.bands_as_frames)
    if source.bands_as_frames and array.ndim == 4:
        raise ReadError(f"{source.path}: has frames of its own (shape {array.shape}); open it without bands as frames")
    if index is None and count > 1:
        raise ReadError(f"{source.path}: holds {count} frames; open them as a stack, or one of them as {source}#0")
    index = index or 0
    if not 0 <= index < count:
        raise ReadError(f"{source.path}: has no frame {index}; it holds {count}, counted from 0")
    image: da.Array = array
    if source.bands_as_frames:
        image = array[index : index + 1]
    elif array.ndim == 4:
        image = array[index]
    return image


def _describe_bands(table: BandTable, bands: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Wavelengths and widths in nanometres and bad bands, as arguments of `Cube`; and notes on what does not fit."""
    notes: list[str] = []
    centres, fwhm, bad = table.centres, table.fwhm, table.bad
    for what, values in (("wavelengths", centres), ("widths", fwhm), ("bad-band flags", bad)):
        if values is not None and values.size != bands:
            notes.append(f"{values.size} {what} for {bands} bands do not fit and are left out")
    centres = centres if centres is not None and centres.size == bands else None
    fwhm = fwhm if fwhm is not None and fwhm.size == bands else None
    flags = np.asarray(bad, bool) if bad is not None and bad.size == bands else np.zeros(bands, bool)
    if centres is not None:
        unplaced = ~(np.isfinite(centres) & (centres > 0))
        if unplaced.all():
            notes.append("the wavelengths are all zero or missing and are left out")
            return {"wavelengths": None, "fwhm": None, "bad": flags}, tuple(notes)
        if unplaced.any():
            notes.append(f"{int(unplaced.sum())} bands have no wavelength and are marked bad")
            centres, flags = np.where(unplaced, np.nan, centres), flags | unplaced
        centres, fwhm, unit_notes = to_nanometres(centres, table.unit, fwhm)
        notes.extend(unit_notes)
    return {"wavelengths": centres, "fwhm": fwhm, "bad": flags}, tuple(notes)

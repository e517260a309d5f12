"""Band centres and widths in nanometres, whatever a file's own unit."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hsimisr.cube import Vector

NM_PER_UNIT = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "micrometer": 1e3, "micrometre": 1e3,
    "mm": 1e6, "millimeter": 1e6, "m": 1e9, "meter": 1e9, "metre": 1e9,
    "angstrom": 0.1,
}  # fmt: skip
WAVENUMBERS = {"wavenumber", "cm-1", "1/cm", "cm^-1"}
UNDECLARED = {"", "unknown", "none"}

_NAMED = re.compile(r"(\d+(?:\.\d*)?)\s*(nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?|nm|um|µm|μm)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(\s*(\d+\.\d+)\s*\)\s*$")


def to_nanometres(
    centres: Vector, unit: str | None, fwhm: Vector | None = None
) -> tuple[Vector | None, Vector | None, tuple[str, ...]]:
    """Centres and widths in nanometres, and notes on what had to be inferred.

    Centres come back as None when they are no wavelengths (band numbers, frequencies). Without a unit the
    magnitude decides: medians from 0.2 to 30 are micrometres, from 150 to 30000 nanometres.
    """
    name = (unit or "").strip().lower()
    name = name if name in NM_PER_UNIT else name.removesuffix("s")
    if name in WAVENUMBERS:
        widths = None if fwhm is None else 1e7 * fwhm / centres**2
        return 1e7 / centres, widths, ("wavelengths converted from wavenumbers",)
    if name in NM_PER_UNIT:
        return _scaled(centres, NM_PER_UNIT[name]), _scaled(fwhm, NM_PER_UNIT[name]), ()
    if name not in UNDECLARED:
        return None, None, (f"band positions in {unit!r} are no wavelengths and are left out",)
    if _counts_bands(centres):
        return None, None, ("band positions only count the bands and are left out",)
    median = float(np.nanmedian(centres))
    note = "wavelengths carry no unit; taken as {} by their size"
    if 150 <= median <= 30_000:
        return centres, fwhm, (note.format("nanometres"),)
    if 0.2 <= median <= 30:
        return _scaled(centres, 1e3), _scaled(fwhm, 1e3), (note.format("micrometres"),)
    return None, None, (f"band positions around {median:g} carry no unit and fit none; left out",)


def from_band_names(names: Sequence[str]) -> tuple[Vector, str | None] | None:
    """Centres and unit out of names such as ``376.44 Nanometers`` or ``Band 1 (426.82)``; None unless all have them."""
    named = [_NAMED.search(name) for name in names]
    if names and all(named):
        units = {match.group(2).lower() for match in named if match}
        if len(units) == 1:
            return np.array([float(match.group(1)) for match in named if match]), units.pop()
    bracketed = [_IN_BRACKETS.search(name) for name in names]
    if names and all(bracketed):
        return np.array([float(match.group(1)) for match in bracketed if match]), None
    return None


def _scaled(values: Vector | None, factor: float) -> Vector | None:
    return values if values is None or factor == 1 else values * factor


def _counts_bands(centres: Vector) -> bool:
    numbers = np.arange(centres.size)
    return centres.size > 1 and any(np.array_equal(centres, numbers + start) for start in (0, 1))

"""Wavelengths, widths and bad bands among the other arrays of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.io.stored import BandTable

_CENTRES = re.compile(
    r"^(wave_?lengths?|wl|wls|lambdas?|band_?cent(er|re)s?|cent(er|re)_?wave_?lengths?)(_?(nm|um))?$", re.IGNORECASE
)
_WIDTHS = re.compile(r"^(fwhm|band_?widths?)(_?(nm|um))?$", re.IGNORECASE)
_GOOD = re.compile(r"^(bbl|good_?bands?|good_?wave_?lengths?)$", re.IGNORECASE)
_BAD = re.compile(r"^(bad|bad_?bands?)$", re.IGNORECASE)
_COUNTING = re.compile(r"band", re.IGNORECASE)


def is_band_vector(name: str) -> bool:
    """Whether an array of this name (its last part, for arrays in groups) may describe the bands."""
    return any(pattern.search(_last(name)) for pattern in (_CENTRES, _WIDTHS, _GOOD, _BAD, _COUNTING))


def find_band_table(vectors: Mapping[str, npt.NDArray[Any]], units: Mapping[str, str] | None = None) -> BandTable:
    """What the vectors of a file tell about its bands.

    Args:
        vectors: 1-D arrays by name, singleton axes dropped.
        units: declared units by name; else a suffix ``_nm`` or ``_um`` of the name counts.
    """
    centres_name = _first(vectors, _CENTRES)
    widths_name = _first(vectors, _WIDTHS)
    good, bad = _first(vectors, _GOOD), _first(vectors, _BAD)
    counting = next((name for name, v in vectors.items() if v.size > 1 and _COUNTING.search(_last(name))), None)
    unit = None
    if centres_name is not None:
        unit = (units or {}).get(centres_name) or _unit_suffix(centres_name)
    flags = vectors[good] == 0 if good is not None else vectors[bad] != 0 if bad is not None else None
    return BandTable(
        centres=None if centres_name is None else vectors[centres_name].astype(float),
        unit=unit,
        fwhm=None if widths_name is None else vectors[widths_name].astype(float),
        bad=None if flags is None else np.asarray(flags),
        count=None if counting is None else vectors[counting].size,
    )


def _first(vectors: Mapping[str, npt.NDArray[Any]], pattern: re.Pattern[str]) -> str | None:
    return next((name for name, v in vectors.items() if v.dtype.kind in "uifb" and pattern.search(_last(name))), None)


def _unit_suffix(name: str) -> str | None:
    ending = name[-2:].lower()
    return ending if ending in ("nm", "um") else None


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]

"""The continuum of a spectrum: the upper hull that its absorption bands hang from."""

from __future__ import annotations

import numpy as np

from hsimisr.cube import Vector


def continuum(wavelengths: Vector, spectrum: Vector) -> Vector:
    """The upper convex hull ``(B,)`` of a spectrum; NaN where the spectrum is.

    Bands may come in any order. Clark and Roush, J. Geophysical Research 89(B7), 1984: straight lines between the
    maxima that no other band rises above.
    """
    x, y = np.asarray(wavelengths, float), np.asarray(spectrum, float)
    out = np.full(y.shape, np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return out
    order = np.flatnonzero(known)[np.lexsort((y[known], x[known]))]
    hull: list[int] = []
    for point in order:
        while hull and x[hull[-1]] == x[point]:  # two detectors at one wavelength: the higher one
            hull.pop()
        while len(hull) > 1 and not _is_below(x, y, hull[-2], point, hull[-1]):
            hull.pop()
        hull.append(int(point))
    out[known] = np.interp(x[known], x[hull], y[hull])
    return out


def remove_continuum(wavelengths: Vector, spectrum: Vector) -> Vector:
    """The spectrum over its continuum: 1 on the hull, below it in absorption bands; NaN where that is not above 0."""
    hull = continuum(wavelengths, spectrum)
    return np.asarray(spectrum, float) / np.where(hull > 0, hull, np.nan)


def _is_below(x: Vector, y: Vector, left: int, right: int, middle: int) -> bool:
    """Whether the line from `left` to `right` passes below `middle`."""
    return bool((y[right] - y[left]) * (x[middle] - x[left]) < (y[middle] - y[left]) * (x[right] - x[left]))

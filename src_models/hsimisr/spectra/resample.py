"""Spectra of a library as a sensor with broader bands would see them."""

from __future__ import annotations

import math

import numpy as np

from hsimisr.cube import Vector
from hsimisr.spectra.library import SpectralLibrary

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
LEAST_SEEN = 0.88
"""Part of a band's response that must lie where the spectrum is known: a Gaussian up to one half-maximum (0.8805)."""


def resample(library: SpectralLibrary, wavelengths: Vector, fwhm: Vector | None = None) -> Vector:
    """The spectra ``(n, B)`` at bands centred at `wavelengths`; NaN where the library has no values.

    Args:
        wavelengths: band centres ``(B,)``, nanometres, in any order.
        fwhm: widths ``(B,)`` of Gaussian bands, nanometres. A library is linear between its wavelengths, and the
            response is integrated over that exactly, however fine or coarse they stand. A band without a finite width
            above 0, or all of them without `fwhm`, is read by linear interpolation.
    """
    centres = np.asarray(wavelengths, float)
    out = _interpolate(library, centres)
    if fwhm is None or len(library.wavelengths) < 2:
        return out
    width = np.asarray(fwhm, float)
    wide = np.isfinite(width) & (width > 0) & np.isfinite(centres)
    out[:, wide] = _integrate(library, centres[wide], width[wide] / FWHM_PER_SIGMA)
    return out


def _interpolate(library: SpectralLibrary, centres: Vector) -> Vector:
    known, values = library.wavelengths, library.values
    if len(known) < 2:
        return np.where(centres == known[0], values, np.nan)
    left = np.clip(np.searchsorted(known, centres, side="right") - 1, 0, len(known) - 2)
    span = known[left + 1] - known[left]
    part = np.where(span > 0, (centres - known[left]) / np.where(span > 0, span, 1), 0.0)
    low, high = values[:, left], values[:, left + 1]
    # a missing neighbour does not count at a wavelength of the library itself
    out = np.where(part == 0, low, np.where(part == 1, high, low + part * (high - low)))
    out[:, ~((part >= 0) & (part <= 1))] = np.nan
    return np.asarray(out, dtype=float)


def _integrate(library: SpectralLibrary, centres: Vector, sigma: Vector) -> Vector:
    """The mean of each spectrum under Gaussians, over the stretches between wavelengths where both ends are known."""
    from scipy.special import ndtr

    known, values = library.wavelengths, library.values
    z = (known - centres[:, None]) / sigma[:, None]
    mass = np.diff(ndtr(z), axis=1)  # (B, b - 1)
    moment = (
        -np.diff(np.exp(-0.5 * z**2), axis=1) * sigma[:, None] / math.sqrt(2 * math.pi)
    )  # of the offset from centre
    span = np.diff(known)
    span = np.where(span > 0, span, 1.0)  # a wavelength listed twice has no mass in between
    to_right = (moment + (centres[:, None] - known[:-1]) * mass) / span
    there = np.isfinite(values[:, :-1]) & np.isfinite(values[:, 1:])
    low, high = np.where(there, values[:, :-1], 0), np.where(there, values[:, 1:], 0)
    seen = there @ mass.T
    total = low @ (mass - to_right).T + high @ to_right.T
    return np.where(seen >= LEAST_SEEN, total / np.where(seen > 0, seen, 1), np.nan)

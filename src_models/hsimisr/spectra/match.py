"""Which entries of a library a spectrum resembles, by spectral angle: brightness does not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsimisr.cube import Vector
from hsimisr.metrics import spectral_angle

LEAST_COVER = 0.5
"""Of the bands that the best-covered entry shares: an angle over few bands is small by chance."""


@dataclass(frozen=True)
class Match:
    """An entry of a library and how far a spectrum is from it: degrees, over so many bands."""

    entry: int
    angle: float
    bands: int


def angles(spectrum: Vector, entries: Vector) -> tuple[Vector, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Spectral angles ``(n,)`` in degrees of a spectrum ``(B,)`` to entries ``(n, B)``, and the bands that count.

    A band counts where both are finite and neither is zero (no data, as often written); with fewer than two such bands,
    where every angle would be 0, it is NaN. Kruse et al., Remote Sensing of Environment 44, 1993, eq. 1.
    """
    both = _holds(spectrum) & _holds(entries)
    ours, theirs = np.where(both, spectrum, 0.0), np.where(both, entries, 0.0)
    count = both.sum(1)
    found = spectral_angle(ours.T, theirs.T)  # zeros in both change neither lengths nor product
    return np.where(count > 1, found, np.nan), count


def best_matches(spectrum: Vector, entries: Vector, count: int = 5) -> list[Match]:
    """The entries ``(n, B)`` with the smallest angles, the nearest first.

    Those that share less than half as many bands with the spectrum as the best-covered one does are left out.
    """
    found, bands = angles(spectrum, entries)
    fair = np.isfinite(found) & (bands >= LEAST_COVER * bands.max(initial=0))
    order = [int(n) for n in np.argsort(np.where(fair, found, np.inf), kind="stable") if fair[n]]
    return [Match(n, float(found[n]), int(bands[n])) for n in order[:count]]


def brightness(spectrum: Vector, entry: Vector) -> float:
    """The factor that takes an entry ``(B,)`` closest to a spectrum (least squares over the bands that count)."""
    both = _holds(spectrum) & _holds(entry)
    if not both.any():
        return float("nan")
    return float(spectrum[both] @ entry[both] / (entry[both] @ entry[both]))


def _holds(values: Vector) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.isfinite(values) & (values != 0)

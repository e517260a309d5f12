"""Mean and standard deviation of many spectra that come in parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Vector


class Moments:
    """Takes spectra part by part; NaN do not count.

    Parts are joined without ever subtracting large sums (Chan, Golub and LeVeque, The American Statistician 37, 1983).

    Attributes:
        count: values in each band ``(B,)``.
        mean: ``(B,)``, NaN where there are none.
    """

    def __init__(self, bands: int) -> None:
        self.count = np.zeros(bands)
        self._mean = np.zeros(bands)
        self._squares = np.zeros(bands)

    def add(self, spectra: npt.NDArray[np.floating]) -> None:
        """Take spectra ``(B, n)``."""
        known = np.isfinite(spectra)
        count = known.sum(1)
        safe = np.maximum(count, 1)
        mean = np.where(known, spectra, 0).sum(1, dtype=float) / safe
        squares = np.where(known, (spectra - mean[:, None]) ** 2, 0).sum(1)
        total = self.count + count
        some, step = np.maximum(total, 1), np.where(count > 0, mean - self._mean, 0)
        self._squares += squares + step**2 * self.count * count / some
        self._mean += step * count / some
        self.count = total

    @property
    def mean(self) -> Vector:
        return np.where(self.count > 0, self._mean, np.nan)

    @property
    def std(self) -> Vector:
        """Standard deviation of the population that the spectra are a sample of; NaN with fewer than two values."""
        return np.where(self.count > 1, np.sqrt(self._squares / np.maximum(self.count - 1, 1)), np.nan)

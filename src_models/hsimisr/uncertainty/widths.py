"""How wide error bars have to be to hold, as scenes with a known truth showed: a table that comes along.

Conformal calibration (Angelopoulos and Bates, arXiv 2107.07511, section 2) by stratum of scale, frames and SNR, on
eigen-images; tiles are what is exchanged, not pixels, which hang together. `benchmarks/calibration.py` makes the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.physics.types import Subspace
from hsimisr.uncertainty.heldout import Told

Float64 = npt.NDArray[np.float64]
SHIPPED = Path(__file__).parent / "widths.json"
NARROWEST, WIDEST = 0.4, 2.5
"""Limits of what bars are multiplied by."""


@dataclass(frozen=True)
class Width:
    """Of one stratum.

    Attributes:
        log_variance: logarithm of what posterior variances have to be multiplied by.
        slope: by how much that grows with what held-out frames told (see `Told.believed`).
    """

    log_variance: float
    slope: float

    def of(self, rank: int, told: Told | None) -> Float64:
        """What each standard deviation is multiplied by ``(r,)``."""
        believed = np.zeros(rank) if told is None else told.believed
        factor = np.exp((self.log_variance + self.slope * believed) / 2)
        return np.asarray(np.clip(factor, NARROWEST, WIDEST))


@dataclass(frozen=True, eq=False)
class Widths:
    """A table over scales, numbers of frames and SNR (dB), ascending; entries ``(scales, frames, snrs)``."""

    scales: tuple[int, ...]
    frames: tuple[int, ...]
    snrs: tuple[float, ...]
    log_variance: Float64
    slope: Float64

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Widths:
        """From plain values, each under the name of its attribute."""
        log_variance, slope = (np.array(table[name], dtype=float) for name in ("log_variance", "slope"))
        return cls(tuple(table["scales"]), tuple(table["frames"]), tuple(table["snrs"]), log_variance, slope)

    def at(self, scale: int, frames: int, snr: float) -> Width:
        """The nearest scale's, between strata by the logarithm of the number of frames and by SNR; ends hold on."""
        nearest = int(np.abs(np.array(self.scales) - scale).argmin())
        counts = np.log(self.frames)

        def between(table: Float64) -> float:
            by_snr = [np.interp(np.log(frames), counts, column) for column in table[nearest].T]
            return float(np.interp(snr, self.snrs, by_snr))

        return Width(between(self.log_variance), between(self.slope))


@lru_cache
def shipped_widths() -> Widths:
    """The table that comes along."""
    return Widths.of(json.loads(SHIPPED.read_text(encoding="utf-8")))


def snr_of(subspace: Subspace) -> float:
    """SNR of the frames that a subspace was made from, dB: 20 log10(rms / sigma), the median over good bands."""
    good = ~subspace.bad
    whitened = (subspace.mean[good] / subspace.sigma[good]) ** 2
    power = whitened + (subspace.vectors[good] ** 2) @ subspace.eigenvalues
    return float(10 * np.log10(np.median(power)))

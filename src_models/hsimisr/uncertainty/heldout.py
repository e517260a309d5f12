"""What frames that an estimate has not seen tell about its error bars.

The residual of such a frame is its noise, which is known, and the error of the estimate as the frame sees it. Only the
second part tells of the bars, and with many frames it is small beside the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.heldout.blocks import block_sums, mean_over_blocks
from hsimisr.heldout.judge import Residuals

Float64 = npt.NDArray[np.float64]
NOISE_ERROR = 0.02
"""How well the variance of the noise is known, as a part of it; what it is off by passes for error of the estimate."""
SPREAD = 0.2
"""How far ratios of squared error to predicted variance differ between scenes, standard deviation."""
TRIMMED = 0.1
"""Share of what was predicted, at either end, whose blocks do not count: a car that moved is no error bar's fault."""


@dataclass(frozen=True, eq=False)
class Told:
    """Squared error of each eigen-image over its predicted variance ``(r,)``, and its standard error."""

    ratio: Float64
    stderr: Float64

    @property
    def believed(self) -> Float64:
        """By how much the ratio exceeds 1 ``(r,)``, shrunk towards 0 as far as chance explains it."""
        return np.asarray((self.ratio - 1) * SPREAD**2 / (SPREAD**2 + self.stderr**2))


def told_by(residuals: Sequence[Residuals], predictive: torch.Tensor) -> Told:
    """What the residuals of held-out frames say; a ratio of 1 with an infinite error where they say nothing.

    Blocks are the data, those of all frames at one place together, since they share the estimate's error there.

    Args:
        residuals: of the held-out frames.
        predictive: the variances ``(frames, r, h, w)`` that they should have (see `hsimisr.heldout.predictive`).
    """
    sums = []
    for left, variance in zip(residuals, predictive, strict=True):
        parts = left.whitened.double() ** 2 - 1, variance.double() - 1
        sums.append([block_sums(torch.where(left.counts, part, 0.0), left.canvas) for part in parts])
    excess, left_open = np.sum(sums, axis=0)
    pixels = sum(int(left.counts.sum()) for left in residuals)
    told = [_ratio(more.ravel(), predicted.ravel(), pixels) for more, predicted in zip(excess, left_open, strict=True)]
    return Told(np.array([ratio for ratio, _ in told]), np.array([stderr for _, stderr in told]))


def _ratio(excess: Float64, left_open: Float64, pixels: int) -> tuple[float, float]:
    seen = left_open > 0
    excess, left_open = excess[seen], left_open[seen]
    if len(excess) < 2:
        return 1.0, float("inf")
    order = np.argsort(excess / left_open)
    place = np.cumsum(left_open[order]) / left_open.sum()
    kept = order[(place > TRIMMED) & (place - left_open[order] / left_open.sum() < 1 - TRIMMED)]
    ratio = max(float(excess[kept].sum() / left_open[kept].sum()), 0.0)  # below where the noise is less than was said
    _, by_chance = mean_over_blocks(excess, left_open)
    return ratio, float(np.hypot(by_chance, NOISE_ERROR * pixels / left_open.sum()))

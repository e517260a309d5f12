"""Means over images whose errors hang together from pixel to pixel: each square block counts as one datum."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm, t

from hsimisr.physics.canvas import Canvas

Float64 = npt.NDArray[np.float64]
BLOCK = 8
"""Side of a block, LR pixels: longer than a PSF carries an error."""
CLEAR = 2.0
"""Standard errors by which a mean must exceed zero to count."""


def block_sums(images: torch.Tensor, canvas: Canvas) -> Float64:
    """Sums ``(n, rows, columns)`` of LR images ``(n, h, w)`` of the canvas over the blocks of its view.

    The last blocks of a row or column may be cut by the end of the view.
    """
    (y0, x0), (h, w) = (np.subtract(canvas.view.origin, canvas.origin), canvas.view.shape)
    inside = images[:, y0 : y0 + h, x0 : x0 + w].double()
    padded = torch.nn.functional.pad(inside, (0, -w % BLOCK, 0, -h % BLOCK))
    return np.asarray(torch.nn.functional.avg_pool2d(padded, BLOCK).cpu().numpy()) * BLOCK**2


def mean_over_blocks(total: Float64, count: Float64) -> tuple[float, float]:
    """Mean per datum and its standard error, from sums and numbers of data of independent blocks of one shape.

    The ratio estimator of cluster sampling (Cochran, Sampling Techniques, 1977, section 2.11). The error is infinite
    with fewer than two blocks, the mean NaN without any.
    """
    data, blocks = float(count.sum()), int((count > 0).sum())
    if data == 0:
        return float("nan"), float("inf")
    mean = float(total.sum()) / data
    if blocks < 2:
        return mean, float("inf")
    scatter = float(((total - mean * count) ** 2).sum())
    return mean, float(np.sqrt(scatter * blocks / (blocks - 1))) / data


def clearly_positive(total: Float64, count: Float64, chances: float = 1.0) -> bool:
    """Whether a mean over blocks exceeds zero by two standard errors.

    Where blocks are few their scatter is uncertain itself: the threshold is Student's, with the tail that two standard
    errors leave of a normal distribution.

    Args:
        chances: how many means are looked at, any of which might exceed zero by accident; the tail is shared out among
            them (Bonferroni).
    """
    mean, stderr = mean_over_blocks(total, count)
    return mean > _threshold(int((count > 0).sum()), chances) * stderr


@lru_cache
def _threshold(blocks: int, chances: float) -> float:
    return float(t.isf(norm.sf(CLEAR) / chances, max(blocks - 1, 1)))

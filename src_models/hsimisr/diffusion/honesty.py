"""What a diffusion may not do: contradict the frames, or bend the spectra that they show."""

from __future__ import annotations

import torch
from torch.nn import functional

from hsimisr.physics.observations import Observations

WORSE = 1.05
"""Normalised misfit to the frames that is allowed, times that of the stage before."""


def allowed_share(
    before: torch.Tensor, change: torch.Tensor, observations: Observations, fitted: float | None = None
) -> float:
    """The largest part of a change, 0 to 1 in hundredths, that predicts the frames as well as it has to.

    The misfit ``sum W (y - A x)^2`` is counted over what is expected of it. The best estimate follows the noise of N
    data with a share f of them, so that it leaves ``(1 - f) N``; a sample does not, and leaves N.

    Args:
        before: image ``(n, H, W)`` of the stage before.
        change: of that image.
        fitted: f, where the change leads to a sample; None where it leads to another best estimate.
    """
    o = observations
    left = o.data - o.operator.forward(o.canvas.to_spectrum(before))
    step = o.operator.forward(o.canvas.to_spectrum(change))
    misfit, slope, bend = (
        float((o.precision * part).sum(dtype=torch.float64)) for part in (left**2, -2 * left * step, step**2)
    )
    growth = 0.0 if fitted is None else fitted / (1 - fitted)
    for hundredths in range(100, 0, -1):
        part = hundredths / 100
        expected = 1 + growth * part**2
        if misfit + slope * part + bend * part**2 <= WORSE * expected * misfit:
            return part
    return 0.0


def within_bars(change: torch.Tensor, deviation: torch.Tensor, scale: int) -> torch.Tensor:
    """A change ``(n, H, W)`` whose mean over every LR pixel stays within the error bar there.

    What is too much is taken off evenly over the LR pixel, so that detail inside it stays.

    Args:
        deviation: standard deviation of HR pixels ``(n, 1, 1)``; that of a mean over an LR pixel is no larger.
    """
    low = functional.avg_pool2d(change, scale)
    excess = low - low.clamp(-deviation, deviation)
    return change - functional.interpolate(excess[None], scale_factor=scale, mode="nearest")[0]

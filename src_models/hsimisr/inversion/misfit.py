"""How much noisier the frames are than the noise says: what PSF, motion or sensor model leave unexplained."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.inversion.lmmse import Solution

LEAST_FREEDOM = 0.2
"""Share of a frame's data that must be free of the fit before its residual tells anything."""


def misfit(found: Solution, lowest: float) -> npt.NDArray[np.float64]:
    """Noise variance ``(K, r)`` at which the residuals of the solution are as large as they should be, noise units.

    A residual in sample is smaller than the noise by the leverage of its frame, ``tr(A_k C A_k') / (n v)``; the
    ratio is unbiased where the model holds.

    Args:
        lowest: the least value returned; 1 where the noise was measured well before.
    """
    o = found.equations.observations
    error = o.data - o.operator.forward(found.spectrum)
    full = o.weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    trusted = (o.weight > full / 2).float()  # what a frame shows of something else says nothing about its noise
    power = full[:, :, 0, 0] * (trusted * error**2).sum((2, 3)) / trusted.sum((2, 3)).clamp_min(1)
    leverage = found.equations.closed_form.leverage(o.operator.phases, o.trust)
    freedom = 1 - leverage
    estimate = torch.where(freedom > LEAST_FREEDOM, power / freedom.clamp_min(LEAST_FREEDOM), o.variance)
    return np.maximum(estimate.double().cpu().numpy(), lowest)

"""DDIM: deterministic steps along the probability flow (Song, Meng and Ermon, ICLR 2021, equation 12 with eta = 0).

What is Gaussian of the flow is followed exactly and DDIM's step is taken for what the network adds (an exponential
integrator; Lu et al., DPM-Solver, NeurIPS 2022), held to the frames by an exact data-consistency step. Plain DDIM loses
the texture that a few of its steps do not see, and contradicts the frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hsimisr.diffusion.flow import follow_flow
from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import Noise


def sample_ddim(model: Model, levels: Sequence[float], noise: Noise, on_step: OnStep) -> torch.Tensor:
    """One sample ``(n, H, W)``; `levels` descend."""
    noisy = model.start(levels[0], noise)
    for level, lower in zip(levels, [*levels[1:], 0.0], strict=True):
        denoised, change = model.change(noisy, level)
        held = model.posterior.let_through(change)
        noisy = follow_flow(model.posterior, noisy, level, lower) + (1 - lower / level) * held
        on_step(noisy if lower == 0 else denoised + held)
    return noisy

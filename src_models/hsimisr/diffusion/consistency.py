"""A consistency model: from any noise level to the end of the probability flow at once (Song et al., ICML 2023).

The end of the Gaussian flow is known exactly; the student, distilled from the denoiser, adds what that would have added
on the way (see `hsimisr.training.distillation`). More steps put noise back and go again (their algorithm 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hsimisr.diffusion.flow import follow_flow
from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import LOWEST, Noise


def sample_consistent(model: Model, levels: Sequence[float], noise: Noise, on_step: OnStep) -> torch.Tensor:
    """One sample ``(n, H, W)``; `levels` descend, and the model's network is a student."""
    noisy = model.start(levels[0], noise)
    for level, lower in zip(levels, [*levels[1:], LOWEST], strict=True):
        ended = follow_flow(model.posterior, noisy, level, 0.0)
        told = model.network(model.known, noisy / model.unit, ended / model.unit, level)
        change = reach(level) * model.unit * told
        if model.guide is not None:
            change = model.guide(ended + change, level) - ended
        clean = ended + model.posterior.let_through(change)
        on_step(clean)
        if lower > LOWEST:
            noisy = clean + (lower**2 - LOWEST**2) ** 0.5 * model.unit * noise.white(clean)
    return clean


def reach(level: float) -> float:
    """How much a student may change at a noise level, in units of the expected error; nothing at the lowest."""
    return max(level - LOWEST, 0.0) / (1 + level**2) ** 0.5

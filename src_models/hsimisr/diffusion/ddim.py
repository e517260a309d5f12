"""DDIM: deterministic steps along the probability flow (Song, Meng and Ermon, ICLR 2021, equation 12 with eta = 0)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import Noise


def sample_ddim(model: Model, levels: Sequence[float], noise: Noise, on_step: OnStep) -> torch.Tensor:
    """One sample ``(n, H, W)``; `levels` descend."""
    noisy = model.start(levels[0], noise)
    for level, lower in zip(levels, [*levels[1:], 0.0], strict=True):
        denoised, change = model.change(noisy, level)
        clean = denoised + change
        on_step(clean)
        noisy = clean + lower / level * (noisy - clean)
    return noisy

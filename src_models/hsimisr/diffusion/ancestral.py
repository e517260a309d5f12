"""Ancestral sampling (DDPM; Ho et al., NeurIPS 2020, equation 7), which HSR-Diff samples with: the reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import Noise


def sample_ancestral(model: Model, levels: Sequence[float], noise: Noise, on_step: OnStep) -> torch.Tensor:
    """One sample ``(n, H, W)``; `levels` descend."""
    noisy = model.start(levels[0], noise)
    for level, lower in zip(levels, [*levels[1:], 0.0], strict=True):
        denoised, change = model.change(noisy, level)
        clean, kept = denoised + change, (lower / level) ** 2
        on_step(clean)
        noisy = clean + kept * (noisy - clean) + lower * (1 - kept) ** 0.5 * model.unit * noise.white(clean)
    return noisy

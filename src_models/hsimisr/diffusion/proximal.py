"""The proximal sampler: the network proposes, the frames decide, and what both leave open is drawn exactly.

Each step draws the clean deviation from the Gaussian posterior given the noisy one, around a mean that the network has
moved as far as the frames let it (an exact data-consistency step), and the next, less noisy one from the exact
distribution between the two. Without a network every number of steps, one included, gives exact samples of the
Gaussian posterior; more steps matter to the network alone. (Proximal and sampling steps in turns: split Gibbs, Vono et
al., 2019; DPnP, Xu and Chi, 2024.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import Noise


def sample_proximal(
    model: Model, levels: Sequence[float], noise: Noise, on_step: OnStep, mean: bool = False
) -> torch.Tensor:
    """One sample ``(n, H, W)``.

    Args:
        levels: descending noise levels.
        mean: leave the last draw out, where samples are averaged: less of them is needed.
    """
    noisy = model.start(levels[0], noise)
    for level, lower in zip(levels, [*levels[1:], 0.0], strict=True):
        denoised, change = model.change(noisy, level)
        last = lower == 0.0
        clean = denoised + model.posterior.let_through(change)
        if not (last and mean):
            clean = clean + model.posterior.draw(level, noise)
        on_step(clean)
        kept = (lower / level) ** 2
        noisy = clean + kept * (noisy - clean)
        if not last:
            noisy = noisy + lower * (1 - kept) ** 0.5 * model.unit * noise.white(clean)
    return noisy

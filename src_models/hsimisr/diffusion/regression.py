"""Regression: the network asked once, where noise has drowned everything, for the mean of all that it would draw."""

from __future__ import annotations

import torch

from hsimisr.diffusion.model import Model, OnStep

DROWNED = 30.0
"""Noise level, times the expected error, beside which a deviation is nothing: the highest in training."""


def regress(model: Model, on_step: OnStep) -> torch.Tensor:
    """The expected deviation ``(n, H, W)``, held to the frames; there is nothing random in it."""
    nothing = torch.zeros((len(model.unit), *model.posterior.canvas.hr_shape), device=model.unit.device)
    _, change = model.change(nothing, DROWNED)
    found = model.posterior.let_through(change)
    on_step(found)
    return found

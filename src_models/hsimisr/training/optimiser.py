"""The optimiser's schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch

from hsimisr.networks.refiner import Refiner
from hsimisr.networks.weights import Network
from hsimisr.training.recipe import OptimiserRecipe

PACE = "pace"
STRENGTH_PACE = 10.0
"""Learning rate of the strengths, relative to that of the weights."""
LEAST = 0.01
"""Learning rate at the end, relative to the largest."""


def build_optimiser(network: Network, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """AdamW; only kernels decay, and the strengths of the data steps, logarithms of order one, learn faster."""
    strengths = [network.strength] if isinstance(network, Refiner) else []
    apart = {id(p) for p in strengths}
    others = [p for p in network.parameters() if id(p) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim > 1], PACE: 1.0},
        {"params": [p for p in others if p.ndim <= 1], PACE: 1.0, "weight_decay": 0.0},
    ]
    if strengths:
        groups.append({"params": strengths, PACE: STRENGTH_PACE, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters its part of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group[PACE]


def clip_gradients(network: Network, largest: float) -> bool:
    """Limit the gradient's norm, and say whether it is finite.

    The variance head is limited on its own: where the linear estimate expects a tenth of the error that it makes, the
    likelihood's gradient is a hundred times the image's, and would leave nothing of that.
    """
    variance = list(network.variance_head.parameters()) if isinstance(network, Refiner) else []
    apart = {id(p) for p in variance}
    image = [p for p in network.parameters() if id(p) not in apart]
    norms = [torch.nn.utils.clip_grad_norm_(part, largest) for part in (image, variance) if part]
    return bool(torch.stack(norms).isfinite().all())


def learning_rate(recipe: OptimiserRecipe, step: int, progress: float) -> float:
    """A linear rise over the first steps, then half a cosine over the run.

    Args:
        progress: how far the run is, 0 to 1.
    """
    rise = min((step + 1) / (recipe.warmup + 1), 1.0)
    fall = LEAST + (1 - LEAST) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return recipe.learning_rate * rise * fall


class Average:
    """Exponential moving average of a network's weights; short at first, so that the start is forgotten."""

    def __init__(self, network: Network, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    def update(self, network: Network, step: int) -> None:
        """Take in the weights after a step."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(value.detach(), 1 - keep)

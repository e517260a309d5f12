"""Pixels of single frames that show something else than the other frames do: clouds, cars, dead pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from scipy.ndimage import uniform_filter

from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.lmmse import Solution, solve
from hsimisr.inversion.misfit import LEAST_FREEDOM
from hsimisr.inversion.solver import conjugate_gradients
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import PowerSpectrum

FEWEST = 3
"""Frames from which on the majority can outvote one."""
UNLIKE = 9.0
"""How many times larger than expected, and than in the other frames there, the squared residual must be."""
ROUNDS = 4
SETTLED = 0.05
"""Rounds of weighing and solving, and the change of a weight at which they end."""
ROUGH_STEPS = 12
"""Conjugate-gradient steps after which residuals tell clouds from noise."""
AROUND = 3
"""Side, LR pixels, of the neighbourhood that is judged together."""


def solve_robustly(
    observations: Observations, prior: PowerSpectrum, config: LmmseConfig, on_step: Callable[[int], None] | None = None
) -> Solution:
    """The posterior mean under a stationary prior, without what single frames show of something else.

    What they show pulls the first estimate along, and with it the residuals of the other frames: a few rounds tell them
    apart (iteratively reweighted least squares).
    """
    rough = config.model_copy(update={"iterations": min(ROUGH_STEPS, config.iterations)})
    found = solve(observations, prior, rough, on_step)
    for _ in range(ROUNDS):
        weight = found.equations.observations.weight
        trust = trusted(found, observations.weight)
        if bool((trust.weight - weight).abs().max() < SETTLED * weight.max()):
            break
        found = solve(trust, prior, rough, on_step, found.spectrum)
    equations = found.equations
    spectrum, steps = conjugate_gradients(equations, config.iterations, config.tolerance, found.spectrum, on_step)
    return Solution(spectrum, equations, found.steps + steps)


def trusted(found: Solution, weight: torch.Tensor) -> Observations:
    """The solution's observations with less weight where one frame contradicts the others.

    The residual around a pixel is compared with its expectation, with the frame's typical one, and with that of the
    other frames at the same place: a wrong PSF or prior fails at an edge in all frames alike, a cloud in one. A pixel
    is worth no more than its neighbours, since clouds have soft edges.

    Args:
        weight: ``(K, 1, h, w)`` before any pixel was distrusted.
    """
    o = found.equations.observations
    if len(o.data) < FEWEST:
        return o
    error = o.data - o.operator.forward(found.spectrum)
    freedom = 1 - found.equations.closed_form.leverage(o.operator.phases, o.trust)
    full = weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    expected = (o.variance * freedom.clamp_min(LEAST_FREEDOM))[:, :, None, None] / full
    seen = (weight > 0).float()
    power = (error**2 / expected).mean(1, keepdim=True) * seen
    size = (1, 1, AROUND, AROUND)
    total, count = (
        torch.from_numpy(uniform_filter(part.cpu().numpy(), size, mode="constant")).to(power.device)
        for part in (power, seen)
    )
    around = total / count.clamp_min(1e-6)
    elsewhere = _median(around.masked_fill(seen == 0, torch.nan), (0,))
    typical = _median(around.masked_fill(seen == 0, torch.nan), (1, 2, 3))
    unlike = around / (UNLIKE * torch.maximum(torch.maximum(elsewhere, typical), torch.ones_like(typical)))
    unlike = unlike * (seen.sum(0) >= FEWEST)
    doubt = torch.nn.functional.max_pool2d((unlike * seen)[:, 0], AROUND, 1, AROUND // 2)[:, None]
    return replace(o, weight=weight / (1 + (doubt - 1).clamp_min(0)) ** 2)


def _median(values: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Median over axes of what is not NaN, axes kept; 1 where there is nothing."""
    kept = [n for n in range(values.ndim) if n not in axes]
    moved = values.permute(*kept, *axes).flatten(len(kept))
    median = moved.nanmedian(-1).values.nan_to_num(1.0)
    shape = [1 if n in axes else values.shape[n] for n in range(values.ndim)]
    return median.reshape(shape)

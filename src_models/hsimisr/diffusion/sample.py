"""From a config to samples and their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hsimisr.diffusion.ancestral import sample_ancestral
from hsimisr.diffusion.config import (
    MEAN,
    AncestralConfig,
    ConsistencyConfig,
    DdimConfig,
    ProximalConfig,
    RegressionConfig,
    SamplerConfig,
)
from hsimisr.diffusion.consistency import sample_consistent
from hsimisr.diffusion.ddim import sample_ddim
from hsimisr.diffusion.gaussian import GaussianPosterior
from hsimisr.diffusion.guidance import guide_of
from hsimisr.diffusion.honesty import allowed_share, within_bars
from hsimisr.diffusion.model import Model, OnStep
from hsimisr.diffusion.noise import LOWEST, Noise, linear_schedule, noise_levels
from hsimisr.diffusion.proximal import sample_proximal
from hsimisr.diffusion.regression import regress
from hsimisr.networks.denoiser import Denoiser
from hsimisr.networks.situation import Situation
from hsimisr.physics.types import Subspace


def draw_sample(model: Model, config: SamplerConfig, noise: Noise, on_step: OnStep, mean: bool = False) -> torch.Tensor:
    """One sample ``(n, H, W)`` of the deviation, of at least one step.

    Args:
        mean: whether it will be averaged.
    """
    match config:
        case ProximalConfig():
            levels = noise_levels(config.highest, LOWEST, config.steps)
            return sample_proximal(model, levels, noise, on_step, mean)
        case DdimConfig():
            return sample_ddim(model, noise_levels(config.highest, LOWEST, config.steps), noise, on_step)
        case AncestralConfig():
            return sample_ancestral(model, linear_schedule(config.highest, config.steps), noise, on_step)
        case ConsistencyConfig():
            return sample_consistent(model, noise_levels(config.highest, LOWEST, config.steps), noise, on_step)
        case RegressionConfig():
            return regress(model, on_step)


@dataclass(frozen=True, eq=False)
class Diffused:
    """What a diffusion made of an estimate.

    Attributes:
        image: ``(r, H, W)`` of the canvas, noise units.
        spread: variance ``(r, H, W)`` that too few samples leave in their mean, known from two opposite pairs on; 0 of
            a single sample, whose error has the posterior variance twice.
        share: part of the change that the frames allow, 0 to 1.
    """

    image: torch.Tensor
    spread: torch.Tensor
    share: float


@torch.no_grad()
def diffuse(
    situation: Situation,
    estimate: torch.Tensor,
    subspace: Subspace,
    network: Denoiser,
    config: SamplerConfig,
    seed: int,
    on_step: Callable[[torch.Tensor], None],
) -> Diffused:
    """A sample of what the frames leave open around an estimate, or the mean of some.

    Args:
        estimate: image ``(r, H, W)`` of the canvas by the stage before.
        on_step: told the image ``(r, H, W)`` of the sample in hand after each network evaluation; may raise to stop.
    """
    posterior = GaussianPosterior.of(situation)
    n, unit = len(posterior.error), posterior.error[:, None, None]
    guide = guide_of(config, estimate, posterior.observations, subspace, unit)
    model = Model(posterior, network, network.condition(situation, estimate), guide)
    averaged = config.product == MEAN

    def told(deviation: torch.Tensor) -> None:
        on_step(torch.cat([estimate[:n] + deviation, estimate[n:]]))

    numbers = range(config.samples if averaged else 1)
    samples = torch.stack(
        [draw_sample(model, config, Noise.of(posterior.canvas, seed, k), told, averaged) for k in numbers]
    )
    change = within_bars(samples.mean(0), unit, posterior.canvas.scale) if averaged else samples[0]
    fitted = None if averaged else posterior.fitted(Noise.of(posterior.canvas, seed, 2))
    share = allowed_share(estimate[:n], change, posterior.observations, fitted)
    image, spread = estimate.clone(), torch.zeros_like(estimate)
    image[:n] += share * change
    spread[:n] = share**2 * _variance_of_mean(samples)
    return Diffused(image, spread, share)


def _variance_of_mean(samples: torch.Tensor) -> torch.Tensor:
    """Of samples ``(m, n, H, W)`` in opposite pairs; 0 from less than two pairs, which tell nothing."""
    pairs = samples[: len(samples) // 2 * 2].unflatten(0, (-1, 2)).mean(1) if len(samples) > 1 else samples
    return pairs.var(0) / len(pairs) if len(pairs) > 1 else torch.zeros_like(samples[0])

"""What the denoiser learns: to take noise off the scene's deviation from the linear estimate."""

from __future__ import annotations

import math

import numpy as np
import torch

from hsimisr.diffusion.config import ConsistencyConfig, ProximalConfig
from hsimisr.diffusion.gaussian import GaussianPosterior
from hsimisr.diffusion.model import Model
from hsimisr.diffusion.noise import Noise
from hsimisr.diffusion.sample import draw_sample
from hsimisr.networks.consistency import observe
from hsimisr.networks.denoiser import Denoiser
from hsimisr.training.loss import FLOOR
from hsimisr.training.sample import Sample

MEDIAN_LEVEL, LEVEL_SPREAD = 2.0, 1.3
"""Noise levels are drawn from a log-normal (Karras et al., NeurIPS 2022, section 5), units of the expected error."""
LEAST_LEVEL, LARGEST_LEVEL = 0.05, 30.0
JUDGED: dict[str, ProximalConfig | ConsistencyConfig] = {
    "denoiser": ProximalConfig(steps=2, samples=2, highest=8.0),
    "student": ConsistencyConfig(),
}
"""How validation samples: two opposite samples, by role."""


def denoising_loss(
    network: Denoiser, sample: Sample, consistency: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithm of the squared error relative to the Gaussian denoiser's, and that ratio.

    Args:
        consistency: weight of the same for what the frames see of it, in units of their noise.
        seed: of the noise and its level.
    """
    situation = sample.situation
    posterior = GaussianPosterior.of(situation)
    noise = Noise.of(posterior.canvas, seed)
    unit = posterior.error[:, None, None]
    drawn = float(torch.randn((), generator=torch.Generator().manual_seed(seed)))
    level = min(max(MEDIAN_LEVEL * math.exp(LEVEL_SPREAD * drawn), LEAST_LEVEL), LARGEST_LEVEL)
    true = deviation(sample, len(unit))
    with torch.no_grad(), torch.autocast(true.device.type, enabled=False):
        noisy = noisy_truth(posterior, sample, level, noise)
        denoised = posterior.denoise(noisy, level)
    known = network.condition(situation, situation.image)
    told = network(known, noisy / unit, denoised / unit, level)
    change = unit * (level / math.hypot(1, level)) * told
    missing = torch.zeros_like(denoised)
    missing[sample.view] = true - denoised[sample.view]
    left = torch.zeros_like(change)
    left[sample.view] = missing[sample.view] - change[sample.view]
    ratio = left.square().sum() / missing.square().sum().clamp_min(1e-12)
    loss = (ratio + FLOOR).log()
    if consistency > 0:
        with torch.autocast(true.device.type, enabled=False):
            o = posterior.observations
            seen, before = ((o.precision * observe(image, o) ** 2).sum() for image in (left, missing))
            loss = loss + consistency * (seen / before.clamp_min(1e-12) + FLOOR).log()
    return loss, ratio


def noisy_truth(posterior: GaussianPosterior, sample: Sample, level: float, noise: Noise) -> torch.Tensor:
    """The true deviation ``(n, H, W)`` of the canvas with noise of a level; a draw where the truth is not known."""
    around = posterior.draw(math.inf, noise)
    around[sample.view] = deviation(sample, len(around))
    return around + level * posterior.error[:, None, None] * noise.white(around)


@torch.no_grad()
def sampled_image(network: Denoiser, sample: Sample) -> torch.Tensor:
    """Mean of opposite samples ``(r, H, W)``, as the pipeline makes it."""
    situation = sample.situation
    model = Model.of(situation, situation.image, network)
    config = JUDGED[network.shape.role]
    drawn = [
        draw_sample(model, config, Noise.of(situation.canvas, 0, n), lambda _: None, mean=True)
        for n in range(config.samples)
    ]
    image = situation.image.clone()
    image[: len(drawn[0])] += torch.stack(drawn).mean(0)
    return image


def deviation(sample: Sample, kept: int) -> torch.Tensor:
    """Of the truth from the linear estimate, over the view ``(n, H, W)``."""
    return (sample.truth - sample.situation.image[sample.view])[:kept]


def seed_of(seed: int, draw: int) -> int:
    """A seed for the noise of one draw from the pool."""
    return int(np.random.SeedSequence((seed, draw)).generate_state(1)[0])

"""How much a network gains on situations that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hsimisr.networks.denoiser import Denoiser
from hsimisr.networks.refiner import Refiner, Support
from hsimisr.networks.weights import Network
from hsimisr.training.denoising import sampled_image
from hsimisr.training.draw import Look
from hsimisr.training.loss import decibels, relative_error
from hsimisr.training.sample import Sample

FEWEST = 8
"""Situations from which the support of single frames can be told."""
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
TOLERABLE_DB = 0.05
"""Most that the worst of them may lose."""


@dataclass(frozen=True)
class Score:
    """One situation.

    Attributes:
        gain: over the linear estimate, dB of the mean squared error of the eigen-images.
        coverage: share of eigen-image pixels within the 90 % interval of a refiner's variance head, else None.
    """

    look: Look
    gain: float
    coverage: float | None


@torch.no_grad()
def score(network: Network, samples: list[Sample]) -> list[Score]:
    """Scores of a network, one per sample."""
    return [_score(network, sample) for sample in samples]


def _score(network: Network, sample: Sample) -> Score:
    if isinstance(network, Denoiser):
        return Score(sample.look, decibels(float(relative_error(sampled_image(network, sample), sample))), None)
    refined = network(sample.situation)
    gain = decibels(float(relative_error(refined.image, sample)))
    z = (refined.image[sample.view] - sample.truth) / refined.variance[sample.view].sqrt()
    return Score(sample.look, gain, float((z.abs() < 1.6449).float().mean()))


@torch.no_grad()
def support_of(network: Refiner, samples: list[Sample]) -> Support | None:
    """The weight at which a refiner's change was best on single frames, and at worst cost next to nothing.

    None where there are too few samples to tell, or no weight at which the mean gain is clear.
    """
    if len(samples) < FEWEST:
        return None
    refined = [network(sample.situation).image for sample in samples]
    best = None
    for weight in WEIGHTS:
        images = (torch.lerp(s.situation.image, image, weight) for s, image in zip(samples, refined, strict=True))
        gains = np.array([decibels(float(relative_error(i, s))) for i, s in zip(images, samples, strict=True)])
        clear = gains.mean() > 2 * gains.std(ddof=1) / len(gains) ** 0.5
        if clear and gains.min() > -TOLERABLE_DB and (best is None or gains.mean() > best.gain_db):
            best = Support(weight, float(gains.mean()), float(gains.min()), len(gains))
    return best


def mean_gain(scores: list[Score]) -> float:
    """Mean gain, dB."""
    return float(np.mean([s.gain for s in scores]))

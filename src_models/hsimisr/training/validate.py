"""How much a refiner gains on situations that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hsimisr.networks.refiner import Refiner
from hsimisr.training.draw import Look
from hsimisr.training.loss import decibels, relative_error
from hsimisr.training.sample import Sample


@dataclass(frozen=True)
class Score:
    """One situation.

    Attributes:
        gain: over the linear estimate, dB of the mean squared error of the eigen-images.
        coverage: share of eigen-image pixels within the 90 % interval of the variance head.
    """

    look: Look
    gain: float
    coverage: float


@torch.no_grad()
def score(network: Refiner, samples: list[Sample]) -> list[Score]:
    """Scores of a refiner, one per sample."""
    scores = []
    for sample in samples:
        refined = network(sample.situation)
        gain = decibels(float(relative_error(refined.image, sample)))
        z = (refined.image[sample.view] - sample.truth) / refined.variance[sample.view].sqrt()
        scores.append(Score(sample.look, gain, float((z.abs() < 1.6449).float().mean())))
    return scores


def mean_gain(scores: list[Score]) -> float:
    """Mean gain, dB."""
    return float(np.mean([s.gain for s in scores]))

"""What is minimised, and how much better than the linear estimate an image is."""

from __future__ import annotations

import math

import torch

from hsimisr.networks.refiner import Refined
from hsimisr.training.sample import Sample

FLOOR = 1e-4
"""Error, as a part of the linear estimate's, below which nothing is gained: 40 dB."""


def loss_of(refined: Refined, sample: Sample, variance_weight: float) -> torch.Tensor:
    """Logarithm of the squared error relative to the linear estimate's, and the variance head's likelihood.

    The logarithm makes every situation count by its gain in dB, whatever its noise, scale and contrast. With the plain
    ratio those that have much to gain stop counting once they have gained it, and a single one that went wrong
    outweighs all others. The likelihood, in units of what the linear estimate expects, does not move the image: its
    error is detached.
    """
    error = refined.image[sample.view] - sample.truth
    ratio = relative_error(refined.image, sample)
    variance = refined.variance[sample.view]
    expected = sample.situation.error[:, None, None] ** 2
    likelihood = 0.5 * (error.detach() ** 2 / variance + (variance / expected).log()).mean()
    return (ratio + FLOOR).log() + variance_weight * likelihood


def relative_error(image: torch.Tensor, sample: Sample) -> torch.Tensor:
    """Squared error of an image ``(r, H, W)`` of the canvas over that of the linear estimate, summed over the view."""
    linear = (sample.situation.image[sample.view] - sample.truth).square().sum()
    return (image[sample.view] - sample.truth).square().sum() / linear.clamp_min(1e-12)


def decibels(ratio: float) -> float:
    """Gain over the linear estimate of an error that is `ratio` times as large, in squares."""
    return -10 * math.log10(max(ratio, 1e-12))

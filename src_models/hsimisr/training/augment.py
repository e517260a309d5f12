"""Variations of a sample that cost nothing: signs of eigen-images, and fewer of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hsimisr.networks.situation import Situation
from hsimisr.training.sample import Sample

DROPPED = 0.3
"""How often trailing eigen-images are left out."""


def augmented(sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample with eigen-images of random sign, of which the last few may be left out.

    An eigenvector's sign means nothing, and how many rise above the noise depends on the sensor.
    """
    rank = len(sample.truth)
    kept = int(rng.integers(1, rank + 1)) if rng.random() < DROPPED else rank
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], kept).astype(np.float32)).to(sample.truth.device)
    return replace(
        sample,
        situation=with_eigen_images(sample.situation, signs),
        truth=sample.truth[:kept] * signs[:, None, None],
    )


def with_eigen_images(situation: Situation, signs: torch.Tensor) -> Situation:
    """The first eigen-images of a situation, each times a sign ``(kept,)``."""
    kept, o = len(signs), situation.observations
    image_sign = signs[:, None, None]
    observations = replace(o, data=o.data[:, :kept] * image_sign, variance=o.variance[:, :kept])
    step = situation.consistency
    return replace(
        situation,
        image=situation.image[:kept] * image_sign,
        spread=situation.spread[:kept],
        error=situation.error[:kept],
        residual=situation.residual[:, :kept] * image_sign,
        consistency=replace(step, observations=observations, basis=step.basis[:kept], gain=step.gain[:kept]),
    )

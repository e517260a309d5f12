"""A variation of a sample that costs nothing: fewer eigen-images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsimisr.networks.situation import Situation
from hsimisr.training.sample import Sample

DROPPED = 0.3
"""How often trailing eigen-images are left out."""


def augmented(sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample, of which the last few eigen-images may be left out.

    How many rise above the noise depends on the sensor.
    """
    if rng.random() >= DROPPED:
        return sample
    kept = int(rng.integers(1, len(sample.truth) + 1))
    return replace(sample, situation=with_eigen_images(sample.situation, kept), truth=sample.truth[:kept])


def with_eigen_images(situation: Situation, kept: int) -> Situation:
    """The first `kept` eigen-images of a situation."""
    return replace(
        situation,
        image=situation.image[:kept],
        spread=situation.spread[:kept],
        error=situation.error[:kept],
        residual=situation.residual[:, :kept],
        consistency=situation.consistency.first(kept),
    )

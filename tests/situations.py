"""Situations as the pipeline meets them, of a problem drawn from its own model."""

from __future__ import annotations

import numpy as np

from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.networks.situation import Situation
from hsimisr.physics.types import FrameMotion


def motions_of(observations):
    return [FrameMotion(np.array([[1, 0, dy], [0, 1, dx], [0, 0, 1.0]])) for dy, dx in observations.operator.shifts]


def situation_of(problem):
    found = lmmse.follow_contrast(
        lmmse.solve(problem.observations, problem.prior, LmmseConfig(tolerance=1e-6)), LmmseConfig()
    )
    return Situation.of(found, motions_of(problem.observations))

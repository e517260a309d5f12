"""Frames of a small drawn scene, laid out and solved, for lessons to be made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dense_problem import dense_problem, drawn_problem

from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.networks.refiner import Refiner, RefinerShape
from hsimisr.physics.types import FrameMotion

__all__ = ["dense_problem", "drawn_problem"]


@pytest.fixture
def problem(drawn_problem):
    return drawn_problem(shape=(24, 22))


@pytest.fixture
def solve(problem):
    return lambda observations: lmmse.solve(observations, problem.prior, LmmseConfig())


@pytest.fixture
def motions(problem):
    shifts = problem.observations.operator.shifts
    return [FrameMotion(np.array([[1, 0, dy], [0, 1, dx], [0, 0, 1.0]])) for dy, dx in shifts]


@pytest.fixture
def refiner():
    torch.manual_seed(0)
    return Refiner(RefinerShape(width=8, blocks=1, stages=1, evidence=8, groups=2)).eval()

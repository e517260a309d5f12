"""The loss counts gains in dB, and the variance head learns the size of the error."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from hsimisr.networks.refiner import Refined
from hsimisr.training.loss import FLOOR, decibels, loss_of, relative_error
from hsimisr.training.sample import Sample

VIEW = (slice(2, 6), slice(2, 6))


@pytest.fixture
def sample():
    """A view of 4 x 4 pixels, linear error 2, expected error 0.5."""
    canvas = SimpleNamespace(view_slices=VIEW)
    situation = SimpleNamespace(image=torch.full((3, 8, 8), 2.0), error=torch.full((3,), 0.5), canvas=canvas)
    return Sample(situation, torch.zeros(3, 4, 4), None)


def refined(value, variance=0.25):
    return Refined(torch.full((3, 8, 8), float(value)), torch.full((3, 8, 8), float(variance)))


def test_ten_times_less_squared_error_is_ten_decibels(sample):
    image = torch.full((3, 8, 8), 2 / math.sqrt(10))
    image[:, 0] = 100.0  # outside the view
    assert decibels(float(relative_error(image, sample))) == pytest.approx(10, abs=1e-4)
    assert float(loss_of(refined(2 / math.sqrt(10)), sample, 0.0)) == pytest.approx(math.log(0.1 + FLOOR), rel=1e-5)


def test_the_loss_is_zero_for_the_linear_estimate(sample):
    assert float(loss_of(refined(2.0), sample, 0.0)) == pytest.approx(0, abs=2 * FLOOR)


def test_the_likelihood_is_best_where_the_variance_is_the_squared_error(sample):
    losses = {v: float(loss_of(refined(0.5, v), sample, 1.0)) for v in (0.05, 0.2, 0.25, 0.3, 1.0)}
    assert min(losses, key=losses.get) == 0.25


def test_the_likelihood_does_not_move_the_image(sample):
    image = torch.full((3, 8, 8), 1.0, requires_grad=True)
    gradients = []
    for weight in (0.0, 5.0):
        loss = loss_of(Refined(image, torch.full((3, 8, 8), 0.1)), sample, weight)
        gradients.append(torch.autograd.grad(loss, image)[0])
    torch.testing.assert_close(*gradients)

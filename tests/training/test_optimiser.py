"""Schedule, average and limits of the optimiser."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from hsimisr.networks.refiner import Refiner, RefinerShape
from hsimisr.training.optimiser import (
    LEAST,
    STRENGTH_PACE,
    Average,
    build_optimiser,
    clip_gradients,
    learning_rate,
    set_learning_rate,
)
from hsimisr.training.recipe import OptimiserRecipe

RECIPE = OptimiserRecipe(steps=100, warmup=9, learning_rate=2.0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Refiner(RefinerShape(width=8, blocks=1, stages=1, evidence=4, groups=2))


def test_the_learning_rate_rises_then_falls_to_its_least():
    rates = [learning_rate(RECIPE, step, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(2.0 / 10)
    assert rates.index(max(rates)) == 9
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert rates[50] == pytest.approx(2.0 * (LEAST + (1 - LEAST) / 2))
    assert rates[100] == pytest.approx(2.0 * LEAST)


def test_every_weight_is_in_one_group_and_strengths_learn_faster(network):
    optimiser = build_optimiser(network, RECIPE)
    members = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in network.parameters())
    set_learning_rate(optimiser, 0.1)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(network.strength)] == pytest.approx(0.1 * STRENGTH_PACE)
    assert rates[id(network.stem.spectral.weight)] == pytest.approx(0.1)


def test_the_average_forgets_the_start_and_stays_near_the_end(network):
    average = Average(network, 0.9)
    with torch.no_grad():
        for step in range(200):
            network.variance_head.bias.fill_(1.0 if step > 20 else 0.0)
            average.update(network, step)
    torch.testing.assert_close(average.network.variance_head.bias, torch.ones(1))
    assert not any(p.requires_grad for p in average.network.parameters())


def test_the_average_is_the_weighted_mean_of_the_weights(network):
    average, expected = Average(network, 0.5), network.variance_head.bias.detach().clone()
    for step, value in enumerate((3.0, -1.0, 2.0)):
        with torch.no_grad():
            network.variance_head.bias.fill_(value)
        average.update(network, step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
    torch.testing.assert_close(average.network.variance_head.bias, expected)


def test_a_large_gradient_of_the_variance_leaves_the_image_s_alone(network):
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    network.residual_head.weight.grad.fill_(1e-3)
    network.variance_head.weight.grad.fill_(1e3)
    assert clip_gradients(network, 1.0)
    torch.testing.assert_close(network.residual_head.weight.grad, torch.full_like(network.residual_head.weight, 1e-3))
    assert float(network.variance_head.weight.grad.norm()) == pytest.approx(1.0, rel=1e-3)


def test_a_gradient_that_is_not_finite_is_told(network):
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    network.variance_head.bias.grad[0] = float("nan")
    assert not clip_gradients(network, 1.0)

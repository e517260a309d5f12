"""How far single frames may be refined, from situations whose best weight is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hsimisr.networks.refiner import Refined
from hsimisr.training.pool import SINGLE
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import make_sample
from hsimisr.training.validate import FEWEST, support_of


@pytest.fixture(scope="module")
def situation():
    tiny = {"situations": {"scales": {2: 1.0}, "frames": [1, 1], "patches": [16], "iterations": 10}}
    return make_sample(Recipe.model_validate({**tiny, "scenes": {"real": 0.0, "bands": [12, 12]}}), (), SINGLE, 0)


def samples(situation, count):
    """Samples that differ in how wrong the linear estimate is."""
    linear = situation.situation.image[situation.view]
    errors = [torch.randn(linear.shape, generator=torch.Generator().manual_seed(n)) for n in range(count)]
    return [replace(situation, truth=linear + error) for error in errors]


def stepping(samples, lengths):
    """A network that goes so many times the way from the linear estimate to the truth, sample by sample."""
    told = iter(zip(samples, lengths, strict=True))

    def network(situation):
        sample, length = next(told)
        image = situation.image.clone()
        image[sample.view] += length * (sample.truth - image[sample.view])
        return Refined(image, torch.ones_like(image))

    return network


def test_the_weight_is_the_one_that_gains_most(situation):
    taken = samples(situation, FEWEST)
    found = support_of(stepping(taken, [1.9, 2.1] * (FEWEST // 2)), taken)
    assert (found.weight, found.situations) == (0.5, FEWEST)
    assert found.worst_db == pytest.approx(26.0, abs=0.1)  # a twentieth of the error is left of each


def test_a_network_that_does_harm_once_is_held_back(situation):
    taken = samples(situation, FEWEST)
    assert support_of(stepping(taken, [0.5] * (FEWEST - 1) + [-0.5]), taken) is None
    gentle = support_of(stepping(taken, [0.5] * (FEWEST - 1) + [-0.01]), taken)
    assert gentle.weight == 0.5  # the whole step would cost the last one 0.09 dB
    assert -0.05 < gentle.worst_db < 0


def test_gains_that_may_be_chance_count_for_nothing(situation):
    taken = samples(situation, FEWEST)
    assert support_of(stepping(taken, [0.001] * 7 + [1.0]), taken) is None


def test_a_few_situations_tell_nothing(situation):
    taken = samples(situation, FEWEST - 1)
    assert support_of(stepping(taken, [1.0] * (FEWEST - 1)), taken) is None

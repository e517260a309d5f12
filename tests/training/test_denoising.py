"""The denoiser's loss: 0 for the Gaussian denoiser, repeatable, and lower for who knows the truth."""

from __future__ import annotations

import pytest
import torch

from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.training.denoising import denoising_loss, deviation, sampled_image, seed_of
from hsimisr.training.loss import FLOOR, relative_error
from hsimisr.training.pool import TRAINING
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import make_sample

SHAPE = DenoiserShape(width=8, heads=2, layers=1, evidence=4, groups=2)


@pytest.fixture(scope="module")
def sample():
    tiny = {"situations": {"scales": {2: 1.0}, "frames": [3, 3], "patches": [16], "iterations": 10}}
    return make_sample(Recipe.model_validate({**tiny, "scenes": {"real": 0.0, "bands": [12, 12]}}), (), TRAINING, 0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Denoiser(SHAPE)


def test_an_untrained_network_is_as_good_as_the_gaussian_denoiser(network, sample):
    loss, ratio = denoising_loss(network, sample, 0.1, 0)
    assert float(ratio) == pytest.approx(1, abs=1e-6)
    assert float(loss) == pytest.approx(1.1 * FLOOR, abs=1e-4)


def test_the_gradient_reaches_the_head_and_through_it_all_the_rest(network, sample):
    torch.nn.init.normal_(network.head.weight, std=0.1)
    denoising_loss(network, sample, 0.1, 0)[0].backward()
    offsets = network.evidence.alignment.offsets  # their last layer starts at zero, so that the first learns later
    later = {id(p) for p in offsets[0].parameters()}
    assert all(bool(p.grad.any()) for p in network.parameters() if id(p) not in later)


def test_the_same_seed_shows_the_same_noise(network, sample):
    torch.nn.init.normal_(network.head.weight, std=0.1)
    first, again, other = (float(denoising_loss(network, sample, 0.1, seed)[0]) for seed in (3, 3, 4))
    assert first == again != other
    assert len({seed_of(seed, draw) for seed in range(3) for draw in range(5)}) == 15


def test_who_knows_the_truth_has_no_loss(sample):
    """A network that is told the truth: only the part of the view it may change is left, which is all of it."""

    class Told:
        def condition(self, *_):
            return None

        def __call__(self, _known, _noisy, denoised, level):
            out = torch.zeros_like(denoised)
            unit = sample.situation.error[: len(denoised), None, None]
            missing = deviation(sample, len(denoised)) / unit - denoised[sample.view]
            out[sample.view] = missing * (1 + level**2) ** 0.5 / level
            return out

    loss, ratio = denoising_loss(Told(), sample, 0.1, 0)
    assert float(ratio) < 1e-6
    assert float(loss) < -5


def test_without_training_the_sampled_mean_is_the_linear_estimate(network, sample):
    assert float(relative_error(sampled_image(network, sample), sample)) == pytest.approx(1, abs=1e-4)

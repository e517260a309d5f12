"""The denoiser: nothing before it is trained, odd in each eigen-image's sign, and at home near the view alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hsimisr.errors import ReadError
from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.networks.weights import load_denoiser, load_refiner, save_network

SHAPE = DenoiserShape(width=8, heads=2, layers=2, evidence=4, groups=2)


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    network = Denoiser(SHAPE).eval()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    return network


@torch.no_grad()
def told(network, situation, noisy, level=0.7):
    return network(network.condition(situation, situation.image), noisy, noisy / 2, level)


@pytest.fixture
def noisy(situation):
    generator = torch.Generator().manual_seed(1)
    return torch.randn((len(situation.image), *situation.canvas.hr_shape), generator=generator)


def test_an_untrained_one_says_nothing(situation, noisy):
    assert not told(Denoiser(SHAPE), situation, noisy).any()


def test_it_turns_with_the_sign_of_each_eigen_image(denoiser, situation, noisy):
    sign = torch.ones(len(noisy))
    sign[0] = -1
    turned = replace(
        situation,
        image=situation.image * sign[:, None, None],
        residual=situation.residual * sign[:, None, None],
    )
    found = told(denoiser, turned, noisy * sign[:, None, None])
    torch.testing.assert_close(found, told(denoiser, situation, noisy) * sign[:, None, None], atol=1e-4, rtol=1e-3)


def test_the_noise_level_matters(denoiser, situation, noisy):
    assert not torch.allclose(told(denoiser, situation, noisy, 0.2), told(denoiser, situation, noisy, 2.0))


def test_weights_come_back_and_are_not_taken_for_a_refiner_s(denoiser, situation, noisy, tmp_path):
    path = tmp_path / "denoiser.safetensors"
    save_network(denoiser, path, {})
    assert torch.equal(told(load_denoiser(path), situation, noisy), told(denoiser, situation, noisy))
    with pytest.raises(ReadError, match="refiner"):
        load_refiner(path)

"""The Gaussian posterior against dense matrices: its denoiser, its draws, and the data-consistency step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hsimisr.diffusion.noise import Noise

DRAWS = 250


def flat(image):
    return image.double().numpy().reshape(len(image), -1)


@pytest.mark.usefixtures("exact_solver")
@pytest.mark.parametrize("level", [0.1, 1.0, 5.0])
def test_the_denoiser_is_the_conditional_mean(posed, level):
    posterior, covariances = posed
    noisy = torch.from_numpy(np.random.default_rng(0).standard_normal((2, *posterior.canvas.hr_shape))).float()
    found = flat(posterior.denoise(noisy, level))
    for image, c in enumerate(covariances):
        noise = (level * float(posterior.error[image])) ** 2
        expected = c @ np.linalg.solve(c + noise * np.eye(len(c)), flat(noisy)[image])
        np.testing.assert_allclose(found[image], expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("level", [0.5, math.inf])
def test_draws_have_the_conditional_covariance(posed, level):
    posterior, covariances = posed
    noise = Noise.of(posterior.canvas, 0)
    draws = np.stack([flat(posterior.draw(level, noise)) for _ in range(DRAWS)], 1)
    for image, c in enumerate(covariances):
        noise = (level * float(posterior.error[image])) ** 2
        expected = c if math.isinf(noise) else c - c @ np.linalg.solve(c + noise * np.eye(len(c)), c)
        found = np.cov(draws[image].T)
        spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / DRAWS)
        z = (found - expected) / spread
        assert abs(z.mean()) < 0.3
        assert 0.85 < z.std() < 1.15


@pytest.mark.usefixtures("exact_solver")
def test_a_change_is_let_through_as_far_as_the_frames_leave_it_open(posed):
    posterior, covariances = posed
    change = torch.from_numpy(np.random.default_rng(1).standard_normal((2, *posterior.canvas.hr_shape))).float()
    found = flat(posterior.let_through(change))
    o = posterior.observations
    seen = o.operator.forward(o.canvas.to_spectrum(change))
    pulled = flat(o.canvas.to_image(o.operator.adjoint(o.precision * seen)))
    for image, c in enumerate(covariances):
        expected = flat(change)[image] - c @ pulled[image]
        np.testing.assert_allclose(found[image], expected, atol=1e-3 * np.abs(expected).max())


def test_opposite_noise_gives_the_opposite_draw(posed):
    posterior, _ = posed
    first, second, third = (posterior.draw(0.5, Noise.of(posterior.canvas, 7, n)) for n in range(3))
    torch.testing.assert_close(first, -second)
    assert not torch.allclose(first, third)

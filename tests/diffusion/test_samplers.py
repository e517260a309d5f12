"""Samplers where the answer is known: a Gaussian posterior."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hsimisr.diffusion.ancestral import sample_ancestral
from hsimisr.diffusion.config import AncestralConfig, ConsistencyConfig, DdimConfig, ProximalConfig, RegressionConfig
from hsimisr.diffusion.consistency import reach, sample_consistent
from hsimisr.diffusion.ddim import sample_ddim
from hsimisr.diffusion.model import Model
from hsimisr.diffusion.noise import LOWEST, Noise, linear_schedule, noise_levels
from hsimisr.diffusion.proximal import sample_proximal
from hsimisr.diffusion.regression import DROWNED
from hsimisr.diffusion.sample import draw_sample

COUNT = 150
SAMPLERS = (ProximalConfig, DdimConfig, AncestralConfig, ConsistencyConfig)


def power(covariance, samples):
    """Mean square of whitened samples ``(COUNT, H W)``, which is 1 for the right covariance."""
    white = np.linalg.solve(np.linalg.cholesky(covariance), samples.T)
    return (white**2).mean(1)


def drawn(sampler, model, levels, image):
    canvas = model.posterior.canvas
    found = [sampler(model, levels, Noise.of(canvas, n), lambda _: None) for n in range(COUNT)]
    return torch.stack(found)[:, image].double().numpy().reshape(COUNT, -1)


@pytest.mark.parametrize("steps", [1, 3])
def test_proximal_samples_are_exact_in_any_number_of_steps(posed, gaussian_model, steps):
    _, covariances = posed
    found = power(covariances[0], drawn(sample_proximal, gaussian_model, noise_levels(2.0, 0.1, steps), 0))
    assert found.mean() == pytest.approx(1, abs=4 * (2 / found.size / COUNT) ** 0.5)
    assert found.std() == pytest.approx((2 / COUNT) ** 0.5, rel=0.25)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sampler", [sample_ddim, sample_consistent])
def test_gaussian_flows_are_exact_in_any_number_of_steps(posed, gaussian_model, sampler, steps):
    """Of a student more than one: noise that is put back has the lowest level less, which is left out there."""
    _, covariances = posed
    found = power(covariances[0], drawn(sampler, gaussian_model, noise_levels(2.0, 0.1, steps), 0))
    assert found.mean() == pytest.approx(1, abs=4 * (2 / found.size / COUNT) ** 0.5)
    assert found.std() == pytest.approx((2 / COUNT) ** 0.5, rel=0.25)


@pytest.mark.usefixtures("exact_solver")
def test_ddim_adds_what_the_network_says_step_by_step(posed):
    """Against dense matrices: the Gaussian flow, and DDIM's share of a change that the frames let through."""
    posterior, covariances = posed
    pattern = torch.randn((2, *posterior.canvas.hr_shape), generator=torch.Generator().manual_seed(0))
    model = Model(posterior, lambda *_: pattern, SimpleNamespace())
    levels = noise_levels(2.0, 0.1, 3)
    start = model.start(levels[0], Noise.of(posterior.canvas, 0))
    found = sample_ddim(model, levels, Noise.of(posterior.canvas, 0), lambda _: None)
    held = posterior.let_through(pattern * model.unit).double()
    for image, c in enumerate(covariances):
        d, unit = start[image].double().numpy().ravel(), float(posterior.error[image])
        values, basis = np.linalg.eigh(c)
        for level, lower in pairwise([*levels, 0.0]):
            factor = np.sqrt((values + (lower * unit) ** 2) / (values + (level * unit) ** 2))
            told = level / np.hypot(1, level) * held[image].numpy().ravel()
            d = basis @ (factor * (basis.T @ d)) + (1 - lower / level) * told
        np.testing.assert_allclose(found[image].numpy().ravel(), d, atol=2e-3 * np.abs(d).max())


def test_a_student_adds_nothing_at_the_lowest_level_and_is_held_to_the_frames(posed):
    posterior, _ = posed
    pattern = torch.randn((2, *posterior.canvas.hr_shape), generator=torch.Generator().manual_seed(0))
    model = Model(posterior, lambda *_: pattern, SimpleNamespace())
    plain = Model(posterior, lambda *_: 0 * pattern, SimpleNamespace())
    for level in (LOWEST, 2.0):
        with_it, without = (
            sample_consistent(m, [level], Noise.of(posterior.canvas, 0), lambda _: None) for m in (model, plain)
        )
        expected = posterior.let_through(reach(level) * model.unit * pattern)
        torch.testing.assert_close(with_it - without, expected, atol=2e-3, rtol=1e-3)
    assert reach(LOWEST) == 0


def test_ancestral_steps_lose_variance_as_the_formula_says(posed, gaussian_model):
    """Its noise is too small where the posterior is wide: the covariance follows its own recursion, not the truth."""
    posterior, covariances = posed
    c, unit = covariances[0], float(posterior.error[0])
    levels = linear_schedule(2.0, 4)
    eye = np.eye(len(c))
    spread = c + (levels[0] * unit) ** 2 * eye
    for level, lower in pairwise([*levels, 0.0]):
        kept = (lower / level) ** 2
        step = kept * eye + (1 - kept) * c @ np.linalg.inv(c + (level * unit) ** 2 * eye)
        spread = step @ spread @ step.T + (lower * unit) ** 2 * (1 - kept) * eye
    found = power(spread, drawn(sample_ancestral, gaussian_model, levels, 0))
    assert found.mean() == pytest.approx(1, abs=4 * (2 / found.size / COUNT) ** 0.5)


def test_opposite_samples_of_a_gaussian_cancel(gaussian_model):
    canvas = gaussian_model.posterior.canvas
    for config in (each(steps=2) for each in SAMPLERS):
        first, second = (draw_sample(gaussian_model, config, Noise.of(canvas, 1, n), lambda _: None) for n in range(2))
        torch.testing.assert_close(first, -second)
        assert float(first.std()) > 0.1


@pytest.mark.parametrize("config", [each(steps=3) for each in SAMPLERS])
def test_every_step_tells_what_it_has(gaussian_model, config):
    told = []
    last = draw_sample(gaussian_model, config, Noise.of(gaussian_model.posterior.canvas, 0), told.append)
    assert len(told) == 3
    torch.testing.assert_close(told[-1], last)


def test_regression_has_nothing_random_and_is_held_to_the_frames(posed):
    posterior, _ = posed
    pattern = torch.randn((2, *posterior.canvas.hr_shape), generator=torch.Generator().manual_seed(0))
    model = Model(posterior, lambda *_: pattern, SimpleNamespace())
    shown = []
    found = draw_sample(model, RegressionConfig(), Noise.of(posterior.canvas, 0), shown.append)
    unit = posterior.error[:, None, None]
    expected = posterior.let_through(pattern * unit * DROWNED / (1 + DROWNED**2) ** 0.5)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)  # rounding, which the solver magnifies
    torch.testing.assert_close(
        draw_sample(model, RegressionConfig(), Noise.of(posterior.canvas, 5, 1), shown.append), found
    )
    assert len(shown) == 2


def test_levels_descend_from_highest_to_lowest():
    for levels in (noise_levels(2.0, 0.1, 5), linear_schedule(2.0, 7)):
        assert all(a > b > 0 for a, b in pairwise(levels))
        assert levels[0] <= 2.0
    assert noise_levels(2.0, 0.1, 5)[-1] == pytest.approx(0.1)
    assert noise_levels(2.0, 0.1, 1) == (2.0,)

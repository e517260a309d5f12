"""Guidance goes down its energies, which are those of the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.diffusion.config import ProximalConfig
from hsimisr.diffusion.guidance import Spectra, excess_rank, guide_of, likelihood, polyak_step
from hsimisr.physics.types import Subspace


@pytest.fixture
def problem(dense_problem):
    return dense_problem(shape=(8, 8))


@pytest.fixture
def subspace():
    rng = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(rng.standard_normal((6, 2)))
    vectors = np.concatenate([vectors, np.zeros((1, 2))])
    bad = np.arange(7) == 6
    return Subspace(rng.uniform(20, 40, 7), rng.uniform(0.5, 1.5, 7), vectors, np.array([9.0, 4.0]), bad)


@pytest.fixture
def images(problem):
    torch.manual_seed(0)
    return 3 * torch.randn(2, *problem.canvas.hr_shape), torch.randn(2, *problem.canvas.hr_shape)


def blurred(image):
    return torch.nn.functional.avg_pool2d(image, 2).numpy()


def test_the_angle_is_that_of_the_bands(subspace, images):
    estimate, deviation = images
    before, after = (subspace.expand(blurred(x))[:6] for x in (estimate, estimate + deviation))
    cosine = (before * after).sum(0) / np.linalg.norm(before, axis=0) / np.linalg.norm(after, axis=0)
    found = float(Spectra.of(subspace, estimate, 2, 2).angle(deviation))
    assert found == pytest.approx(float((1 - cosine**2).mean()), rel=2e-2)


def test_ergas_is_that_of_the_bands(subspace, images):
    estimate, deviation = images
    before, after = (subspace.expand(blurred(x))[:6] for x in (estimate, estimate + deviation))
    expected = (((after - before) / subspace.mean[:6, None, None]) ** 2).mean()
    assert float(Spectra.of(subspace, estimate, 2, 2).ergas(deviation)) == pytest.approx(float(expected), rel=1e-4)


def test_the_likelihood_is_what_the_misfit_has_beyond_the_noise(problem, images):
    o, (estimate, deviation) = problem.observations, images
    left = o.data - o.operator.forward(o.canvas.to_spectrum(estimate + deviation))
    expected = float((o.precision * left**2).mean()) - 1
    assert expected > 0
    assert float(likelihood(deviation, estimate, o)) == pytest.approx(expected, rel=1e-5)


def test_one_pattern_for_all_eigen_images_has_no_excess_rank():
    torch.manual_seed(0)
    pattern = torch.randn(1, 16, 16)
    same = torch.cat([pattern, -2 * pattern, 0.5 * pattern])
    assert float(excess_rank(same)) == pytest.approx(0, abs=1e-4)
    assert float(excess_rank(torch.randn(3, 16, 16))) > 1


def test_a_step_ends_where_a_line_would_be_zero():
    metric = torch.tensor([[[2.0]], [[0.5]]])
    at, slope = torch.ones(2, 3, 3), torch.arange(18.0).reshape(2, 3, 3)
    after = at - polyak_step(lambda x: (slope * x).sum(), at, metric)
    assert float((slope * after).sum()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("knob", ["likelihood", "sam", "ergas", "low_rank"])
def test_each_knob_lowers_its_energy(problem, subspace, images, knob):
    estimate, deviation = images
    o, unit = problem.observations, torch.ones(2, 1, 1)
    spectra = Spectra.of(subspace, estimate, 2, 2)
    energy = {
        "likelihood": lambda d: likelihood(d, estimate, o),
        "sam": spectra.angle,
        "ergas": spectra.ergas,
        "low_rank": excess_rank,
    }[knob]
    guide = guide_of(ProximalConfig(**{knob: 0.3}), estimate, o, subspace, unit)
    assert float(energy(guide(deviation, 1.0))) < 0.95 * float(energy(deviation))


def test_without_a_wish_there_is_no_guide(problem, subspace, images):
    assert guide_of(ProximalConfig(), images[0], problem.observations, subspace, torch.ones(2, 1, 1)) is None

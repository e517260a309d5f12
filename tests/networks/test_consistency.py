"""The data-consistency step against dense matrices, and its gradients against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import translation
from hsimisr.inversion.closed_form import prior_precision
from hsimisr.inversion.solver import NormalEquations
from hsimisr.networks import consistency
from hsimisr.networks.consistency import ClosedConsistency, Consistency, SolvedConsistency, observe
from hsimisr.physics.types import FrameMotion
from hsimisr.physics.warp import WarpOperator

STRENGTH = torch.tensor([0.7, -1.2])


@pytest.fixture
def problem(dense_problem):
    return dense_problem(scale=2, shape=(6, 5), frames=3)


def images(problem, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((2, *problem.canvas.hr_shape))).float()


def closed(problem):
    return ClosedConsistency.under(problem.observations, precision(problem))


def solved(problem):
    return SolvedConsistency.under(problem.observations, precision(problem))


def precision(problem):
    return prior_precision(problem.prior, problem.canvas, torch.device("cpu"))


@pytest.fixture
def exact_solver(monkeypatch):
    monkeypatch.setattr(consistency, "STEPS", 300)
    monkeypatch.setattr(consistency, "TOLERANCE", 1e-6)


@pytest.mark.usefixtures("exact_solver")
@pytest.mark.parametrize(("kind", "masked"), [(closed, False), (solved, False), (solved, True)])
def test_step_is_the_posterior_mean_with_the_image_as_prior_mean(problem, kind, masked):
    problem = problem.with_mask() if masked else problem
    z = images(problem)
    found = kind(problem).step(z, STRENGTH)
    for i in range(2):
        a, w, root = problem.operator_matrix(), problem.data_weight(i), problem.prior_root(i)
        normal = a.T @ (w[:, None] * a) + np.exp(float(STRENGTH[i])) * root @ root
        y = problem.observations.data[:, i].double().numpy().ravel()
        flat = z[i].double().numpy().ravel()
        # what A cannot see (the HR Nyquist frequency) is not modelled and stays
        expected = flat + np.linalg.solve(normal, a.T @ (w * (y - a @ flat)))
        np.testing.assert_allclose(found[i].numpy().ravel(), expected, atol=2e-4 * np.abs(expected).max())


def test_only_pure_shifts_have_a_closed_form(problem):
    o = problem.observations
    motions = [FrameMotion(translation(shift)) for shift in o.operator.shifts]
    warp = WarpOperator(o.canvas, problem.psf, motions, np.zeros((len(motions), 2), int), torch.device("cpu"))
    for operator, kind in ((o.operator, ClosedConsistency), (warp, SolvedConsistency)):
        equations = NormalEquations.build(replace(o, operator=operator), problem.prior)
        assert isinstance(Consistency.of(equations), kind)


@pytest.mark.parametrize("kind", [closed, solved])
def test_a_strong_prior_leaves_the_image_alone(problem, kind):
    z = images(problem)
    assert torch.allclose(kind(problem).step(z, torch.full((2,), 20.0)), z, atol=1e-4)


@pytest.mark.parametrize("kind", [closed, solved])
def test_frames_that_fit_already_move_nothing(problem, kind):
    z, o = images(problem), problem.observations
    o.data[:] = o.operator.forward(o.canvas.to_spectrum(z))
    assert torch.allclose(kind(problem).step(z, STRENGTH), z, atol=1e-5)


@pytest.mark.parametrize("kind", [closed, solved])
def test_the_first_eigen_images_alone(problem, kind):
    z, step = images(problem), kind(problem)
    torch.testing.assert_close(
        step.first(1).step(z[:1], STRENGTH[:1]), step.step(z, STRENGTH)[:1], rtol=1e-3, atol=1e-3
    )


@pytest.mark.usefixtures("exact_solver")
@pytest.mark.parametrize("kind", [closed, solved])
def test_gradients(problem, kind):
    step = kind(problem.with_mask())
    z, direction = images(problem), images(problem, seed=1)
    toward, turn = images(problem, seed=2), torch.tensor([0.4, -0.3])

    def value(length):
        return float((step.step(z + length * direction, STRENGTH + length * turn) * toward).sum())

    image, strength = z.clone().requires_grad_(), STRENGTH.clone().requires_grad_()
    (step.step(image, strength) * toward).sum().backward()
    slope = float((image.grad * direction).sum() + (strength.grad * turn).sum())
    assert slope == pytest.approx((value(1e-2) - value(-1e-2)) / 2e-2, rel=2e-3)


def test_gradient_of_observing(problem):
    z = images(problem).requires_grad_()
    weight = torch.from_numpy(np.random.default_rng(3).standard_normal(problem.observations.data.shape)).float()
    (observe(z, problem.observations) * weight).sum().backward()
    a = problem.operator_matrix()
    expected = np.stack([a.T @ weight[:, i].double().numpy().ravel() for i in range(2)])
    np.testing.assert_allclose(z.grad.numpy().reshape(2, -1), expected, atol=1e-5)

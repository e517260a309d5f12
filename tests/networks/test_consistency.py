"""The data-consistency step against dense matrices, and its gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.inversion.solver import NormalEquations
from hsimisr.networks.consistency import Consistency, observe

STRENGTH = torch.tensor([0.7, -1.2])


@pytest.fixture
def problem(dense_problem):
    return dense_problem(scale=2, shape=(6, 5), frames=3)


def images(problem, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((2, *problem.canvas.hr_shape))).float()


def test_step_is_the_posterior_mean_with_the_image_as_prior_mean(problem):
    consistency = Consistency.of(NormalEquations.build(problem.observations, problem.prior))
    z = images(problem)
    found = consistency.step(z, STRENGTH)
    for i in range(2):
        a, w, root = problem.operator_matrix(), problem.data_weight(i), problem.prior_root(i)
        precision = a.T @ (w[:, None] * a) + np.exp(float(STRENGTH[i])) * root @ root
        y = problem.observations.data[:, i].double().numpy().ravel()
        flat = z[i].double().numpy().ravel()
        # what A cannot see (the HR Nyquist frequency) is not modelled and stays
        expected = flat + np.linalg.solve(precision, a.T @ (w * (y - a @ flat)))
        np.testing.assert_allclose(found[i].numpy().ravel(), expected, atol=2e-4 * np.abs(expected).max())


def test_a_strong_prior_leaves_the_image_alone(problem):
    consistency = Consistency.of(NormalEquations.build(problem.observations, problem.prior))
    z = images(problem)
    assert torch.allclose(consistency.step(z, torch.full((2,), 20.0)), z, atol=1e-4)


def test_frames_that_fit_already_move_nothing(problem):
    consistency = Consistency.of(NormalEquations.build(problem.observations, problem.prior))
    z, o = images(problem), problem.observations
    o.data[:] = o.operator.forward(o.canvas.to_spectrum(z))
    assert torch.allclose(consistency.step(z, STRENGTH), z, atol=1e-5)


def test_gradients(problem):
    consistency = Consistency.of(NormalEquations.build(problem.with_mask().observations, problem.prior))
    z, direction = images(problem), images(problem, seed=1)
    toward, turn = images(problem, seed=2), torch.tensor([0.4, -0.3])

    def value(step):
        return float((consistency.step(z + step * direction, STRENGTH + step * turn) * toward).sum())

    image, strength = z.clone().requires_grad_(), STRENGTH.clone().requires_grad_()
    (consistency.step(image, strength) * toward).sum().backward()
    slope = float((image.grad * direction).sum() + (strength.grad * turn).sum())
    assert slope == pytest.approx((value(1e-2) - value(-1e-2)) / 2e-2, rel=2e-3)


def test_gradient_of_observing(problem):
    z = images(problem).requires_grad_()
    weight = torch.from_numpy(np.random.default_rng(3).standard_normal(problem.observations.data.shape)).float()
    (observe(z, problem.observations) * weight).sum().backward()
    a = problem.operator_matrix()
    expected = np.stack([a.T @ weight[:, i].double().numpy().ravel() for i in range(2)])
    np.testing.assert_allclose(z.grad.numpy().reshape(2, -1), expected, atol=1e-5)

"""The posterior by alias groups against the posterior by dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.inversion.closed_form import ClosedForm, prior_precision

SINGLE = 3e-6
"""Float32 arithmetic: responses and blocks rounded to 6e-8 and amplified by condition numbers of up to 50."""

every_canvas = pytest.mark.parametrize(
    ("scale", "shape", "frames"), [(1, (6, 5), 2), (2, (6, 5), 3), (2, (5, 8), 1), (3, (4, 5), 4), (4, (3, 4), 2)]
)


def closed_form_of(problem):
    o = problem.observations
    precision = prior_precision(problem.prior, o.canvas, o.data.device)
    return ClosedForm.build(o.canvas, o.operator.phases, o.trust, precision)


@every_canvas
def test_prior_precision_is_that_of_the_dense_prior(dense_problem, scale, shape, frames):
    problem = dense_problem(scale, shape, frames)
    precision = prior_precision(problem.prior, problem.canvas, torch.device("cpu"))
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, *problem.canvas.hr_shape)))
    weighted = problem.canvas.to_image(precision * problem.canvas.to_spectrum(x)).numpy()
    for image in range(2):
        root = problem.prior_root(image)
        expected = root @ root @ x[image].numpy().ravel()
        assert weighted[image].ravel() == pytest.approx(expected, abs=SINGLE * np.abs(expected).max())


@every_canvas
def test_covariance_is_the_inverse_of_the_dense_precision(dense_problem, scale, shape, frames):
    problem = dense_problem(scale, shape, frames)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, *problem.canvas.hr_shape)).astype(np.float32))
    applied = problem.canvas.to_image(closed_form_of(problem).apply(problem.canvas.to_spectrum(x))).numpy()
    for image in range(2):
        expected = np.linalg.solve(problem.posterior(image)[0], x[image].double().numpy().ravel())
        assert applied[image].ravel() == pytest.approx(expected, abs=SINGLE * np.abs(expected).max())


@every_canvas
def test_log_determinant(dense_problem, scale, shape, frames):
    problem = dense_problem(scale, shape, frames)
    found = closed_form_of(problem).log_determinant.numpy()
    expected = [np.linalg.slogdet(problem.posterior(image)[0])[1] for image in range(2)]
    # a sum of one logarithm a pixel
    assert found == pytest.approx(expected, abs=SINGLE * problem.pixels)


@every_canvas
def test_shift_slope_is_the_derivative_of_the_log_determinant(dense_problem, scale, shape, frames):
    problem = dense_problem(scale, shape, frames)
    o, step = problem.observations, 1e-4
    slope = closed_form_of(problem).shift_slope(o.operator.phases, o.trust).numpy()
    for image in range(2):
        root, w = problem.prior_root(image), problem.data_weight(image)

        def log_determinant(shifts, root=root, w=w):
            a = problem.operator_matrix(shifts)
            return np.linalg.slogdet(a.T @ (w[:, None] * a) + root @ root)[1]

        for k in range(frames):
            for axis in range(2):
                moved = np.zeros((frames, 2))
                moved[k, axis] = step
                both = (log_determinant(o.operator.shifts + sign * moved) for sign in (1, -1))
                expected = np.subtract(*both) / (2 * step)
                # the difference is good to step^2; terms of either sign, one a pixel, cancel in float32
                assert slope[k, axis, image] == pytest.approx(expected, abs=SINGLE * problem.pixels)


@every_canvas
def test_variances_are_the_dense_diagonal(dense_problem, scale, shape, frames):
    problem = dense_problem(scale, shape, frames)
    closed = closed_form_of(problem)
    within = closed.pixel_variance().numpy()
    by_frequency = closed.spectrum_variance()
    for image in range(2):
        diagonal = np.diag(np.linalg.inv(problem.posterior(image)[0])).reshape(problem.canvas.hr_shape)
        tiled = np.tile(within[image], shape)
        assert tiled == pytest.approx(diagonal, rel=10 * SINGLE)
        plane = (by_frequency[image].numpy() * problem.canvas.half_weight).sum()
        assert plane == pytest.approx(diagonal.sum(), rel=10 * SINGLE)  # the trace, in either basis


def test_frames_of_equal_noise_take_the_short_way_to_the_same_result(dense_problem):
    """Blocks are shared between eigen-images whose noise is the same."""
    problem = dense_problem()
    o = problem.observations
    precision = prior_precision(problem.prior, o.canvas, o.data.device)
    same = torch.full_like(o.trust, 0.7)
    almost = same.clone()
    almost[0, 1] += 1e-6
    short, long = (ClosedForm.build(o.canvas, o.operator.phases, weight, precision) for weight in (same, almost))
    assert torch.allclose(short.covariance, long.covariance, rtol=0, atol=1e-5 * float(long.covariance.abs().max()))

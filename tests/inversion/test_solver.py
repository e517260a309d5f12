"""Conjugate gradients against dense solves, with masks, and what must not matter to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.errors import Cancelled
from hsimisr.geometry import translation
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.types import FrameMotion
from hsimisr.physics.warp import WarpOperator

TOLERANCE = 1e-5


def solved(problem, contrast=None):
    equations = NormalEquations.build(problem.observations, problem.prior)
    if contrast is not None:
        equations = equations.with_contrast(torch.from_numpy(contrast.astype(np.float32)))
    spectrum, _ = conjugate_gradients(equations, 300, TOLERANCE)
    return problem.canvas.to_image(spectrum).double().numpy()


def assert_solves(problem, images, contrast=None):
    """To the tolerance of the residual, times what the condition of the preconditioned system makes of it."""
    for image, found in enumerate(images):
        precision, right = problem.posterior(image, contrast)
        expected = np.linalg.solve(precision, right)
        assert found.ravel() == pytest.approx(expected, abs=10 * TOLERANCE * np.linalg.norm(expected))


@pytest.mark.parametrize(("scale", "shape", "frames"), [(1, (6, 5), 2), (2, (6, 5), 3), (2, (5, 8), 1), (3, (4, 5), 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_solution_is_the_dense_posterior_mean(dense_problem, scale, shape, frames, masked):
    problem = dense_problem(scale, shape, frames)
    problem = problem.with_mask() if masked else problem
    assert_solves(problem, solved(problem))


def test_a_prior_that_follows_a_contrast_map(dense_problem):
    problem = dense_problem().with_mask()
    contrast = np.exp(np.random.default_rng(0).uniform(-2, 2, problem.canvas.hr_shape))
    assert_solves(problem, solved(problem, contrast), contrast)


def test_without_masks_the_closed_form_needs_no_step(dense_problem):
    problem = dense_problem()
    equations = NormalEquations.build(problem.observations, problem.prior)
    _, steps = conjugate_gradients(equations, 10, 1e-4)
    assert steps == 0


def test_the_order_of_the_frames_does_not_matter(dense_problem):
    problem = dense_problem(frames=4).with_mask()
    o, order = problem.observations, [2, 0, 3, 1]
    operator = ShiftOperator(o.canvas, o.operator.psf, o.operator.shifts[order], o.data.device)
    shuffled = replace(
        problem,
        observations=replace(
            o, operator=operator, data=o.data[order], weight=o.weight[order], variance=o.variance[order]
        ),
    )
    plain = solved(problem)
    assert solved(shuffled) == pytest.approx(plain, abs=10 * TOLERANCE * float(np.linalg.norm(plain)))


def test_a_frame_that_measured_nothing_is_as_good_as_absent(dense_problem):
    problem = dense_problem(frames=3)
    o = problem.observations
    operator = ShiftOperator(o.canvas, o.operator.psf, o.operator.shifts[:2], o.data.device)
    two = replace(o, operator=operator, data=o.data[:2], weight=o.weight[:2], variance=o.variance[:2])
    without = replace(problem, observations=o.without(2))
    plain = solved(replace(problem, observations=two))
    assert solved(without) == pytest.approx(plain, abs=10 * TOLERANCE * float(np.linalg.norm(plain)))


def test_the_solution_minimises_the_objective(dense_problem):
    """At the minimum ``x'Hx - 2 x'b + y'Wy`` is ``y'Wy - x'b``, and any step away costs ``d'Hd``."""
    problem = dense_problem().with_mask()
    o = problem.observations
    equations = NormalEquations.build(o, problem.prior)
    x, _ = conjugate_gradients(equations, 300, TOLERANCE)
    lowest = equations.objective(x)
    expected = float((o.precision * o.data**2).double().sum() - o.canvas.dot(x, equations.right_side).sum())
    assert lowest == pytest.approx(expected, rel=1e-4)
    step = 0.1 * o.canvas.to_spectrum(
        torch.from_numpy(np.random.default_rng(0).standard_normal((2, *o.canvas.hr_shape)))
    )
    step = step.to(torch.complex64)
    cost = float(o.canvas.dot(step, equations.apply(step)).sum())
    assert equations.objective(x + step) - lowest == pytest.approx(cost, rel=1e-2)


def test_warps_are_solved_too(dense_problem):
    """A warp by pure shifts, preconditioned as one: the dense matrix is read off the operator itself."""
    problem = dense_problem(2, (6, 6), 2).with_mask()
    o = problem.observations
    bend = 0.05 * np.random.default_rng(0).standard_normal((2, 6, 6)).astype(np.float32)
    motions = [FrameMotion(translation(shift), field=bend) for shift in o.operator.shifts]
    operator = WarpOperator(o.canvas, o.operator.psf, motions, np.zeros((2, 2), np.int64), o.data.device)
    warped = replace(problem, observations=replace(o, operator=operator))
    units = torch.eye(problem.pixels).reshape(-1, *o.canvas.hr_shape)
    a = operator.forward(o.canvas.to_spectrum(units)).permute(0, 2, 3, 1).reshape(-1, problem.pixels).double().numpy()
    for image, found in enumerate(solved(warped)):
        w, root = problem.data_weight(image), problem.prior_root(image)
        right = a.T @ (w * o.data[:, image].double().numpy().ravel())
        expected = np.linalg.solve(a.T @ (w[:, None] * a) + root @ root, right)
        assert found.ravel() == pytest.approx(expected, abs=10 * TOLERANCE * np.linalg.norm(expected))


def test_an_image_that_has_arrived_rests_while_others_are_on_their_way(dense_problem):
    """One eigen-image is hard to solve, the other easy; steps below its rounding would drive the easy one away."""
    problem = dense_problem(2, (12, 10), 3).with_mask()
    problem = replace(problem, prior=replace(problem.prior, power=problem.prior.power * np.array([[1e5], [1.0]])))
    equations = NormalEquations.build(problem.observations, problem.prior)
    spectrum, steps = conjugate_gradients(equations, 1000, 1e-5)
    assert steps > 100
    found = problem.canvas.to_image(spectrum)[1].double().numpy().ravel()
    expected = np.linalg.solve(*problem.posterior(1))
    assert found == pytest.approx(expected, abs=1e-4 * float(np.linalg.norm(expected)))


def test_a_caller_can_stop_between_steps(dense_problem):
    problem = dense_problem().with_mask()
    seen = []

    def stop(step):
        seen.append(step)
        if step == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        conjugate_gradients(NormalEquations.build(problem.observations, problem.prior), 300, TOLERANCE, None, stop)
    assert seen == [0, 1]

"""Noise beyond the noise, read off what a solution leaves unexplained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.lmmse import solve
from hsimisr.inversion.misfit import misfit
from hsimisr.inversion.solver import NormalEquations

CONFIG = LmmseConfig(iterations=200, tolerance=1e-6)


def test_leverage_is_the_share_of_the_data_that_the_fit_follows(dense_problem):
    problem = dense_problem()
    o = problem.observations
    found = NormalEquations.build(o, problem.prior).closed_form.leverage(o.operator.phases, o.trust)
    n = problem.canvas.shape[0] * problem.canvas.shape[1]
    for image in range(2):
        a, w = problem.operator_matrix(), problem.data_weight(image)
        influence = np.diag(a @ np.linalg.solve(problem.posterior(image)[0], a.T * w))
        assert found[:, image].numpy() == pytest.approx(influence.reshape(3, n).mean(1), rel=1e-4)


@pytest.mark.parametrize("true", [[1.0, 1.0, 1.0, 1.0], [1.0, 4.0, 9.0, 1.0]])
def test_the_noise_of_each_frame_is_found(drawn_problem, true):
    """Where the model holds and starts from the true noise, residuals are as large as they should be."""
    problem = drawn_problem(true)
    found = misfit(solve(problem.observations, problem.prior, CONFIG), 0.01)
    # a variance from n pixels is uncertain by sqrt(2 / n), more where the fit follows half of them
    h, w = problem.canvas.shape
    assert found == pytest.approx(np.repeat(np.array(true)[:, None], 2, 1), rel=5 * np.sqrt(2 / (h * w / 2)))


def test_what_a_frame_shows_of_something_else_says_nothing_about_its_noise(drawn_problem):
    """Pixels that lost their weight do not count, whatever they hold."""
    problem = drawn_problem()
    o = problem.observations
    weight = o.weight.clone()
    weight[1, :, 4:12, 4:12] = 1e-3
    found = []
    for value in (0.0, 100.0):
        data = o.data.clone()
        data[1, :, 4:12, 4:12] += value
        found.append(misfit(solve(replace(o, data=data, weight=weight), problem.prior, CONFIG), 0.01))
    # what they still weigh pulls the image a little beside them
    assert found[1] == pytest.approx(found[0], rel=0.1)
    assert found[0] == pytest.approx(1, rel=5 * np.sqrt(2 / (32 * 30 / 2)))


def test_it_is_never_below_what_was_measured_before(dense_problem):
    problem = dense_problem()
    quiet = replace(problem.observations, data=0.01 * problem.observations.data)
    assert (misfit(solve(quiet, problem.prior, CONFIG), 1.0) == 1.0).all()

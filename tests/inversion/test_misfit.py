"""Noise beyond the noise, read off what a solution leaves unexplained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.lmmse import solve
from hsimisr.inversion.misfit import misfit
from hsimisr.inversion.prior import power_law, radial_frequencies
from hsimisr.inversion.solver import NormalEquations
from hsimisr.physics.canvas import Canvas

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
def test_the_noise_of_each_frame_is_found(dense_problem, true):
    """Where the model holds and starts from the true noise, residuals are as large as they should be."""
    shape = (32, 30)
    problem = dense_problem(2, shape, 4)
    o, rng = problem.observations, np.random.default_rng(0)
    prior = power_law(np.array([2.5, 2.5]), np.array([100.0, 30.0]), radial_frequencies(2, shape))
    canvas = Canvas((0, 0), shape, 2, View.whole(shape))
    amplitude = torch.from_numpy(np.sqrt(prior.at(canvas.radius)) * 2)
    image = canvas.to_image(
        canvas.to_spectrum(torch.from_numpy(rng.standard_normal((2, *canvas.hr_shape)))) * amplitude
    )
    variance = torch.tensor(true)[:, None].expand(4, 2).contiguous()
    noise = torch.from_numpy(rng.standard_normal(o.data.shape)).float() * variance.sqrt()[:, :, None, None]
    data = o.operator.forward(canvas.to_spectrum(image.float())) + noise
    found = misfit(solve(replace(o, data=data, variance=variance), prior, CONFIG), 0.01)
    # a variance from n pixels is uncertain by sqrt(2 / n), more where the fit follows half of them
    bound = 5 * np.sqrt(2 / (shape[0] * shape[1] / 2))
    assert found == pytest.approx(variance.numpy(), rel=bound)


def test_it_is_never_below_what_was_measured_before(dense_problem):
    problem = dense_problem()
    quiet = replace(problem.observations, data=0.01 * problem.observations.data)
    assert (misfit(solve(quiet, problem.prior, CONFIG), 1.0) == 1.0).all()

"""Back-projection and total variation: what they descend, and where they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from hsimisr.errors import Cancelled
from hsimisr.inversion.iterative import _divergence, _gradient, back_project, total_variation


def misfit(observations, spectrum):
    error = observations.data - observations.operator.forward(spectrum)
    return (observations.precision * error**2).sum((0, 2, 3)).double().numpy()


def zeros(canvas):
    return canvas.to_spectrum(torch.zeros(2, *canvas.hr_shape))


@pytest.mark.parametrize("masked", [False, True])
def test_back_projection_lowers_the_misfit_at_every_step(dense_problem, masked):
    problem = dense_problem(2, (6, 5), 4)
    o = (problem.with_mask() if masked else problem).observations
    values = [misfit(o, back_project(o, zeros(o.canvas), n)) for n in range(1, 8)]
    assert (np.diff(values, axis=0) < 0).all()


def test_back_projection_leaves_an_image_that_explains_the_frames(dense_problem):
    o = dense_problem().observations
    x = o.canvas.to_spectrum(
        torch.from_numpy(np.random.default_rng(0).standard_normal((2, *o.canvas.hr_shape))).float()
    )
    exact = replace(o, data=o.operator.forward(x))
    assert torch.equal(back_project(exact, x, 5), x)


def test_the_divergence_is_the_transpose_of_the_gradient():
    rng = np.random.default_rng(0)
    image, field = torch.from_numpy(rng.standard_normal((2, 6, 7))), torch.from_numpy(rng.standard_normal((2, 2, 6, 7)))
    assert float((_gradient(image) * field).sum()) == pytest.approx(
        float((image * _divergence(field)).sum()), rel=1e-12
    )


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_total_variation_ends_at_the_minimum(dense_problem, strength):
    """Against a general-purpose minimiser of the same sum with the corner of the modulus rounded off."""
    problem = dense_problem(2, (5, 4), 3).with_mask()
    o, rounding = problem.observations, 1e-4
    start = back_project(o, zeros(o.canvas), 10)
    found = o.canvas.to_image(total_variation(o, start, strength, 600)).double().numpy()
    a = problem.operator_matrix()
    first = o.canvas.to_image(start).double()
    weights = strength * 2 / torch.linalg.vector_norm(_gradient(first), dim=1).mean((-2, -1)).numpy()
    for image in range(2):
        w, y = problem.data_weight(image), o.data[:, image].double().numpy().ravel()

        def cost(x, w=w, y=y, weight=weights[image]):
            x = x.reshape(o.canvas.hr_shape)
            gradient = np.stack([np.roll(x, -1, 0) - x, np.roll(x, -1, 1) - x])
            length = np.sqrt((gradient**2).sum(0) + rounding**2)
            error = a @ x.ravel() - y
            pull = gradient / length
            slope = np.roll(pull[0], 1, 0) - pull[0] + np.roll(pull[1], 1, 1) - pull[1]
            return (w * error**2).sum() / 2 + weight * length.sum(), a.T @ (w * error) + weight * slope.ravel()

        options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-14, "gtol": 1e-8}
        best = minimize(cost, first[image].numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
        # rounding lifts each pixel's modulus by up to 1e-4; ADMM closes in on the minimum as 1 / iterations
        slack = weights[image] * problem.pixels * rounding + best.fun / 600
        assert cost(found[image].ravel())[0] <= best.fun + slack


@pytest.mark.parametrize(
    "method", [lambda o, x, f: back_project(o, x, 9, f), lambda o, x, f: total_variation(o, x, 1, 9, f)]
)
def test_a_caller_can_stop_it(dense_problem, method):
    o, seen = dense_problem().observations, []

    def stop(step):
        seen.append(step)
        if step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        method(o, zeros(o.canvas), stop)
    assert seen == [0, 1, 2]

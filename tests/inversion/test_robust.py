"""Clouds and moving things in single frames: found by what the other frames show, and kept out of the estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.lmmse import solve
from hsimisr.inversion.robust import FEWEST, solve_robustly, trusted

CONFIG = LmmseConfig(iterations=100, tolerance=1e-5)
CLOUDED = 2


def clouded(observations, height, softness=0.0):
    """The same observations with a cloud of 10 x 9 pixels in one frame, and where it is."""
    cover = np.zeros(observations.canvas.shape)
    cover[8:18, 12:21] = 1.0
    cover = gaussian_filter(cover, softness) if softness else cover
    data = observations.data.clone()
    bright = torch.tensor([height, -0.6 * height])[:, None, None]
    cloud = torch.from_numpy(cover.astype(np.float32))
    data[CLOUDED] = (1 - cloud) * data[CLOUDED] + cloud * bright
    return replace(observations, data=data), cover


def weight_of(solution):
    return solution.equations.observations.weight[:, 0].numpy()


@pytest.mark.parametrize("seed", range(4))
def test_clean_frames_keep_their_weight(drawn_problem, seed):
    """And the estimate is the one of a plain solve: nine times the expected power never comes from noise."""
    problem = drawn_problem(seed=seed)
    found = solve_robustly(problem.observations, problem.prior, CONFIG)
    assert (weight_of(found) == 1).all()
    plain = solve(problem.observations, problem.prior, CONFIG)
    assert torch.equal(found.spectrum, plain.spectrum)


@pytest.mark.parametrize("noisy", [4.0, 16.0])
def test_a_frame_that_is_noisier_all_over_keeps_its_weight(drawn_problem, noisy):
    """It is compared with itself: noise that nobody knew of is not something else."""
    problem = drawn_problem((1.0, 1.0, noisy, 1.0))
    o = replace(problem.observations, variance=torch.ones_like(problem.observations.variance))
    assert weight_of(solve_robustly(o, problem.prior, CONFIG)).min() > 0.9


@pytest.mark.parametrize(("height", "softness"), [(60.0, 0.0), (-60.0, 0.0), (60.0, 1.0)])
def test_a_cloud_in_one_frame_is_found_where_it_is(drawn_problem, height, softness):
    problem = drawn_problem()
    o, cover = clouded(problem.observations, height, softness)
    weight = weight_of(solve_robustly(o, problem.prior, CONFIG))
    assert weight[CLOUDED][cover > 0.5].max() < 0.1
    # a neighbourhood of three is judged together, and a pixel is worth no more than its neighbours
    away = gaussian_filter((cover > 0.01).astype(float), 0.7, truncate=6) < 1e-6
    assert np.mean(weight[CLOUDED][away] == 1) > 0.99
    others = np.delete(weight, CLOUDED, 0)
    assert np.mean(others == 1) > 0.99


def test_where_the_cloud_is_the_estimate_is_the_one_of_the_other_frames(drawn_problem):
    problem = drawn_problem()
    o, cover = clouded(problem.observations, 60.0)
    canvas = o.canvas
    robust = solve_robustly(o, problem.prior, CONFIG)
    without = solve(problem.observations.without(CLOUDED), problem.prior, CONFIG)
    naive = solve(o, problem.prior, CONFIG)
    under = np.repeat(np.repeat(cover > 0.5, 2, 0), 2, 1)
    expected = canvas.to_image(without.spectrum)[:, under]
    error_bar = float(without.equations.closed_form.pixel_variance().mean().sqrt())

    def apart(solution):
        return float((canvas.to_image(solution.spectrum)[:, under] - expected).pow(2).mean().sqrt())

    # beside the cloud the frame still counts, which moves the estimate under it by less than its error bar
    assert apart(robust) < 0.5 * error_bar
    assert apart(naive) > 5 * error_bar


def test_two_frames_cannot_outvote_each_other(drawn_problem):
    problem = drawn_problem((1.0,) * (FEWEST - 1))
    o = problem.observations
    data = o.data.clone()
    data[1, :, 5:15, 5:15] += 60.0
    found = solve_robustly(replace(o, data=data), problem.prior, CONFIG)
    assert torch.equal(found.equations.observations.weight, o.weight)


def test_what_was_not_measured_is_not_judged(drawn_problem):
    """Masked pixels stay masked, and nothing beside them is doubted for what they hold."""
    problem = drawn_problem()
    o = problem.observations
    weight = o.weight.clone()
    weight[1, :, :10] = 0
    masked = replace(o, weight=weight, data=o.data * (weight > 0))
    found = weight_of(solve_robustly(masked, problem.prior, CONFIG))
    assert np.array_equal(found > 0, weight[:, 0].numpy() > 0)
    assert np.mean(found[weight[:, 0].numpy() > 0] > 0.9) > 0.99


def test_weights_are_those_before_any_doubt_times_trust(drawn_problem):
    """A frame that was trusted half keeps that; judging twice does not doubt twice."""
    problem = drawn_problem()
    o, _ = clouded(problem.observations, 60.0)
    half = o.weight.clone()
    half[0] = 0.5
    found = solve(replace(o, weight=half), problem.prior, CONFIG)
    once = trusted(found, half)
    again = trusted(replace(found, equations=replace(found.equations, observations=once)), half)
    assert torch.allclose(once.weight, again.weight, atol=0.05)
    assert float(once.weight[0].max()) == 0.5

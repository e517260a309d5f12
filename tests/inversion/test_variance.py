"""Posterior variances of pixels against the diagonal of a dense posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.inversion.variance import CONTRASTS, SMALL, posterior_of
from hsimisr.physics.types import PowerSpectrum

SINGLE = 3e-5
"""Float32 responses and blocks, condition numbers of some hundreds."""


@pytest.fixture(scope="module")
def wide(dense_problem):
    """As wide as the small canvas on which variances are computed, so that nothing is interpolated."""
    return dense_problem(1, (SMALL, SMALL), 3)


def left(problem, weight=(1.0, 1.0), **more):
    return posterior_of(problem.observations, problem.prior, problem.psf, np.array(weight), **more)


def variance_of(problem, **more):
    return left(problem, **more).variance


def diagonal(problem, image, contrast=None):
    precision, _ = problem.posterior(image, contrast)
    return np.diag(np.linalg.inv(precision)).reshape(problem.canvas.hr_shape)


def test_where_all_frames_are_seen_it_is_the_dense_diagonal(wide):
    variance = variance_of(wide)
    for image in range(2):
        assert variance[image] == pytest.approx(diagonal(wide, image), rel=SINGLE)


def test_at_a_higher_scale_it_tells_the_pixels_of_an_lr_pixel_apart(dense_problem):
    problem = dense_problem(2, (SMALL, SMALL), 1)
    variance = variance_of(problem)[1]
    expected = diagonal(problem, 1)
    assert variance == pytest.approx(expected, rel=SINGLE)
    # far apart for what the comparison allows, so that a variance per LR pixel would not pass it
    assert np.ptp(variance[:2, :2]) > 100 * SINGLE * expected.mean()


def test_a_frame_that_measured_nothing_tells_nothing(wide):
    without = replace(wide, observations=wide.observations.without(2))
    assert variance_of(without)[0] == pytest.approx(diagonal(without, 0), rel=SINGLE)


def test_a_brighter_noisier_frame_that_tells_as_much_leaves_the_same_variance(wide):
    """A frame of twice the gain weighs four times as much, which four times the noise takes back; also under a mask."""
    o = wide.observations
    weight, variance = o.weight.clone(), o.variance.clone()
    weight[2, :, :, 12:] = 0
    louder = weight.clone()
    louder[1] *= 4
    variance[1] *= 4
    same = [replace(o, weight=weight), replace(o, weight=louder, variance=variance)]
    plain, brighter = (variance_of(replace(wide, observations=given)) for given in same)
    assert brighter == pytest.approx(plain, rel=0.02)


def test_where_nothing_is_seen_the_prior_is_left(wide):
    o = wide.observations
    weight = o.weight.clone()
    weight[:, :, :, 12:] = 0
    half = replace(wide, observations=replace(o, weight=weight))
    variance, full = variance_of(half), variance_of(wide)
    for image in range(2):
        prior = np.diag(np.linalg.inv(np.linalg.matrix_power(wide.prior_root(image), 2)))[0]
        assert variance[image, :, 16:20] == pytest.approx(np.full((SMALL, 4), prior), rel=SINGLE)
        assert variance[image, :, 4:8] == pytest.approx(full[image, :, 4:8], rel=SINGLE)


def test_more_frames_never_raise_it(wide):
    o = wide.observations
    last = np.inf
    for count in (0, 1, 2, 3):
        weight = o.weight.clone()
        weight[count:, :, :, :12] = 0
        half = variance_of(replace(wide, observations=replace(o, weight=weight)))[:, 4:20, 4:8].mean()
        assert half < last
        last = half


@pytest.mark.parametrize("contrast", CONTRASTS[[1, 3, 5]])
def test_an_even_contrast_is_a_stronger_or_weaker_prior(wide, contrast):
    variance = variance_of(wide, contrast=torch.full(wide.canvas.hr_shape, float(contrast)))
    stronger = replace(wide, prior=PowerSpectrum(wide.prior.frequency, wide.prior.power * contrast))
    assert variance[0] == pytest.approx(diagonal(stronger, 0), rel=SINGLE)


def detail_of(problem):
    """Share ``(H, W)`` of HR frequencies that lie beyond the Nyquist frequency of the frames, and their radius."""
    fy, fx = (np.abs(np.fft.fftfreq(n) * problem.canvas.scale) for n in problem.canvas.hr_shape)
    top = problem.canvas.scale / 2  # the HR Nyquist frequency is not modelled
    kept = (np.sign(np.maximum.outer(fy, fx).round(9) - 0.5) + 1) / 2 * ~np.logical_or.outer(fy == top, fx == top)
    return kept, np.hypot.outer(fy, fx)


def projected(problem, covariance, kept):
    """Variance of what a covariance ``(H * W, H * W)`` holds at some frequencies."""
    one_side = np.fft.ifft2(np.fft.fft2(covariance.reshape(-1, *kept.shape)) * kept).real
    return float(np.trace(one_side.reshape(kept.size, -1)))


def test_what_is_determined_is_the_trace_of_the_resolution_of_the_detail(dense_problem, monkeypatch):
    """Weighted by what the detail of each eigen-image counts."""
    monkeypatch.setattr("hsimisr.inversion.variance.SMALL", 12)  # dense matrices of no more than 24 x 24 pixels
    problem, weight = dense_problem(2, (12, 12), 3), (3.0, 0.5)
    kept, radius = detail_of(problem)
    open_power = prior_power = 0.0
    for image in range(2):
        precision, _ = problem.posterior(image)
        open_power += weight[image] * projected(problem, np.linalg.inv(precision), kept)
        prior_power += weight[image] * 4 * (problem.prior.at(radius)[image] * kept).sum()
    found = left(problem, weight)
    assert found.determined == pytest.approx(np.full((12, 12), 1 - open_power / prior_power), abs=SINGLE)
    assert found.detail == pytest.approx(np.full((12, 12), prior_power / problem.pixels), rel=SINGLE)


def test_without_frames_all_detail_is_inferred_and_more_frames_determine_more(dense_problem):
    problem = dense_problem(2, (SMALL, SMALL), 3)
    weight = problem.observations.weight.clone()
    weight[:, :, :, 12:] = 0
    weight[2, :, 12:, :12] = 0
    masked = replace(problem, observations=replace(problem.observations, weight=weight))
    share = left(masked).determined
    np.testing.assert_allclose(share[:, 15:], 0, atol=1e-6)
    fewer = left(replace(problem, observations=problem.observations.without(2))).determined
    assert share[15:22, 2:9] == pytest.approx(fewer[15:22, 2:9], abs=SINGLE)
    assert share[2:10, 2:10] == pytest.approx(left(problem).determined[2:10, 2:10], abs=SINGLE)
    assert (share[2:9, 2:9] > share[15:22, 2:9] + SINGLE).all()


def test_strong_detail_is_better_determined(dense_problem):
    problem = dense_problem(2, (SMALL, SMALL), 3)
    flat, busy = (left(problem, contrast=torch.full(problem.canvas.hr_shape, c)) for c in (0.1, 10.0))
    assert (busy.determined > flat.determined).all()
    assert busy.detail == pytest.approx(100 * flat.detail, rel=SINGLE)


def test_at_scale_one_there_is_no_detail_to_infer(wide):
    found = left(wide)
    assert (found.detail == 0).all()
    assert (found.determined == 1).all()

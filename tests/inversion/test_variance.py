"""Posterior variances of pixels against the diagonal of a dense posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.inversion.variance import CONTRASTS, SMALL, posterior_variance
from hsimisr.physics.types import PowerSpectrum

SINGLE = 3e-5
"""Float32 responses and blocks, condition numbers of some hundreds."""


@pytest.fixture(scope="module")
def wide(dense_problem):
    """As wide as the small canvas on which variances are computed, so that nothing is interpolated."""
    return dense_problem(1, (SMALL, SMALL), 3)


def variance_of(problem, **more):
    return posterior_variance(problem.observations, problem.prior, problem.psf, **more)


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

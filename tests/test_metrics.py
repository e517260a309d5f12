"""Each figure of merit against an independent implementation: scikit-image, or loops over the paper's formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hsimisr.errors import StackError
from hsimisr.metrics import evaluate, information_divergence, spectral_angle


@pytest.fixture(scope="module")
def cubes():
    rng = np.random.default_rng(3)
    truth = rng.uniform(50, 900, (5, 30, 26)) * rng.uniform(0.3, 1.7, (5, 1, 1))
    estimate = truth + rng.normal(0, 2, truth.shape)
    return truth.astype(np.float32), estimate.astype(np.float32)


def test_psnr_and_ssim_agree_with_scikit_image_band_by_band(cubes):
    truth, estimate = (cube.astype(float) for cube in cubes)
    scores = evaluate(truth, estimate, scale=2, border=4)
    for b in range(len(truth)):
        x, y = truth[b, 4:-4, 4:-4], estimate[b, 4:-4, 4:-4]
        assert scores.psnr_bands[b] == pytest.approx(peak_signal_noise_ratio(x, y, data_range=x.max()), rel=1e-12)
        reference = structural_similarity(
            x, y, data_range=x.max(), gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert scores.ssim_bands[b] == pytest.approx(reference, rel=1e-10)
    assert scores.psnr == pytest.approx(scores.psnr_bands.mean())
    assert scores.ssim == pytest.approx(scores.ssim_bands.mean())


def test_angle_divergence_and_ergas_agree_with_loops_over_the_formulas(cubes):
    truth, estimate = (cube[:, 4:-4, 4:-4].astype(float) for cube in cubes)
    bands, height, width = truth.shape
    angles, divergences = [], []
    for y in range(height):
        for x in range(width):
            a, b = truth[:, y, x], estimate[:, y, x]
            # Kruse et al. 1993, eq. 1
            angles.append(math.degrees(math.acos(sum(a * b) / math.sqrt(sum(a * a) * sum(b * b)))))
            # Chang 2000, eqs. 6 to 8
            p, q = a / sum(a), b / sum(b)
            divergences.append(sum(p * np.log(p / q)) + sum(q * np.log(q / p)))
    # Wald 2000, "Quality of high resolution synthesised images": ERGAS = 100 h/l sqrt(1/N sum RMSE^2 / mean^2)
    total = sum(np.mean((truth[b] - estimate[b]) ** 2) / truth[b].mean() ** 2 for b in range(bands))
    scores = evaluate(*cubes, scale=2)
    assert scores.sam == pytest.approx(np.mean(angles), rel=1e-9)
    assert scores.sid == pytest.approx(np.mean(divergences), rel=1e-9)
    assert scores.ergas == pytest.approx(100 / 2 * math.sqrt(total / bands), rel=1e-9)


def test_border_defaults_to_two_lr_pixels(cubes):
    truth, estimate = cubes
    assert evaluate(truth, estimate, scale=3).border == 6
    spoilt = estimate.copy()
    spoilt[:, :4] = spoilt[:, :, -4:] = 1e6
    assert evaluate(truth, spoilt, scale=2).summary() == evaluate(truth, estimate, scale=2).summary()


def test_bands_with_nan_do_not_count(cubes):
    truth, estimate = cubes
    holed = estimate.copy()
    holed[1, 10, 10] = np.nan
    scores = evaluate(truth, holed, scale=1)
    keep = [0, 2, 3, 4]
    assert scores.bands == 4
    assert np.isnan(scores.psnr_bands[1])
    assert np.isnan(scores.ssim_bands[1])
    assert scores.summary() == evaluate(truth[keep], estimate[keep], scale=1).summary()


def test_zero_pixels_do_not_enter_the_angle(cubes):
    truth, estimate = (cube.copy() for cube in cubes)
    whole = spectral_angle(truth, estimate)
    truth[:, 12, 12] = 0
    estimate[:, 14, 14] = 0
    holed = spectral_angle(truth, estimate)
    assert np.isnan(holed[12, 12])
    assert np.isnan(holed[14, 14])
    assert np.isfinite(evaluate(truth, estimate, scale=1).sam)
    keep = np.isfinite(holed)
    assert np.array_equal(holed[keep], whole[keep])


def test_small_angles_keep_their_digits():
    angle = np.array([1e-9, 1e-5, 0.3])
    a = np.stack([np.ones(3), np.zeros(3)])[:, None]
    b = np.stack([np.cos(angle), np.sin(angle)])[:, None]
    assert spectral_angle(a, b)[0] == pytest.approx(np.degrees(angle), rel=1e-12)


@given(factor=st.floats(0.01, 100))
def test_spectral_measures_do_not_see_brightness(factor):
    a = np.random.default_rng(0).uniform(1, 2, (6, 2, 2))
    # the difference of two unit vectors carries one rounding (1e-16) per component: 2 sqrt(6) 1.1e-16 rad
    assert spectral_angle(a, a * factor).max() < math.degrees(6e-16)
    assert abs(information_divergence(a, a * factor)).max() < 1e-15


def test_perfect_estimate():
    truth = np.random.default_rng(1).uniform(1, 2, (3, 20, 20))
    scores = evaluate(truth, truth, scale=1)
    assert (scores.psnr, scores.ssim, scores.sam, scores.ergas) == (math.inf, pytest.approx(1), 0, 0)


def test_cubes_that_cannot_be_compared_are_refused(cubes):
    truth, estimate = cubes
    with pytest.raises(StackError, match="same grid"):
        evaluate(truth, estimate[:, ::2, ::2], scale=2)
    with pytest.raises(StackError, match="larger view"):
        evaluate(truth[:, :14, :14], estimate[:, :14, :14], scale=2)
    with pytest.raises(StackError, match="no band"):
        evaluate(truth, np.full_like(truth, np.nan), scale=2)

"""Estimates and subspaces: what is expanded lazily is what the formulas in their docstrings say."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import Grid, hr_to_lr, translation
from hsimisr.physics.types import (
    Estimate,
    FrameMotion,
    PowerSpectrum,
    Registration,
    Subspace,
    hr_index,
    upsample_linear,
)

EPS = float(np.finfo(np.float32).eps)
BANDS, RANK, SCALE = 7, 3, 2
BAD = np.array([False, False, True, False, False, False, False])


@pytest.fixture
def subspace():
    rng = np.random.default_rng(0)
    vectors = np.zeros((BANDS, RANK))
    vectors[~BAD] = np.linalg.qr(rng.standard_normal((BANDS - 1, RANK)))[0]
    mean, sigma = rng.uniform(10, 20, BANDS), rng.uniform(0.5, 2, BANDS)
    mean[BAD] = sigma[BAD] = np.nan
    return Subspace(mean, sigma, vectors, np.array([30.0, 10.0, 3.0]), BAD)


def test_bad_bands_count_for_nothing_in_the_basis(subspace):
    assert (subspace.basis[BAD] == 0).all()
    np.testing.assert_allclose((subspace.basis**2).sum(0), (subspace.basis[~BAD] ** 2).sum(0))


@pytest.fixture
def estimate(subspace):
    rng = np.random.default_rng(1)
    grid = Grid(SCALE, (2, 3), (8, 10))
    residual = rng.standard_normal((BANDS, 4, 5)).astype(np.float32)
    residual[BAD] = np.nan
    variance = rng.uniform(0.1, 1, (RANK, *grid.shape)).astype(np.float32)
    spread = np.where(BAD, np.nan, 0.3)
    return Estimate(
        rng.standard_normal((RANK, *grid.shape)).astype(np.float32), subspace, grid, variance, residual, spread
    )


def test_spectra_are_mean_plus_sigma_times_vectors_times_coefficients(subspace):
    c = np.random.default_rng(2).standard_normal((RANK, 4, 5)).astype(np.float32)
    spectra = subspace.expand(c)
    for y, x in np.ndindex(4, 5):
        expected = subspace.mean + subspace.sigma * (subspace.vectors @ c[:, y, x])
        assert spectra[~BAD, y, x] == pytest.approx(expected[~BAD], abs=20 * 4 * EPS)
    assert np.isnan(spectra[BAD]).all()


def test_projecting_undoes_expanding(subspace):
    c = np.random.default_rng(2).standard_normal((RANK, 4, 5)).astype(np.float32)
    # values of 20 over a sigma of 0.5, rounded to float32
    assert subspace.project(subspace.expand(c)) == pytest.approx(c, abs=40 * BANDS * EPS)


def test_bad_bands_do_not_count_in_a_projection(subspace):
    cube = np.random.default_rng(2).uniform(10, 20, (BANDS, 4, 5)).astype(np.float32)
    holed = cube.copy()
    holed[BAD] = np.nan
    assert np.array_equal(subspace.project(holed), subspace.project(cube))
    assert np.array_equal(subspace.project_good(cube[~BAD]), subspace.project(cube))


def test_noise_of_a_coefficient_has_unit_variance(subspace):
    n = 40000
    noise = np.random.default_rng(3).standard_normal((BANDS, n)) * subspace.sigma[:, None]
    spread = subspace.project((subspace.mean[:, None] + noise).astype(np.float32)).std(1)
    assert spread == pytest.approx(np.ones(RANK), abs=5 / np.sqrt(2 * n))


@pytest.mark.parametrize("some", [slice(None), slice(0, 3), np.array([5, 0, 2])])
def test_some_bands_are_rows_of_all_bands(estimate, some):
    # another number of rows may change the order of sums of three
    rounding = {"abs": 4 * 25 * EPS, "nan_ok": True}
    assert estimate.bands(some) == pytest.approx(estimate.bands()[some], **rounding)
    assert estimate.std(some) == pytest.approx(estimate.std()[some], **rounding)


def test_the_error_bar_is_the_root_of_the_expanded_variance(estimate):
    std = estimate.std()
    basis = estimate.subspace.basis
    for y, x in np.ndindex(estimate.grid.shape):
        covariance = basis @ np.diag(estimate.variance[:, y, x]) @ basis.T
        assert std[~BAD, y, x] == pytest.approx(np.sqrt(np.diag(covariance) + 0.3)[~BAD], rel=10 * EPS)
    assert np.isnan(std[BAD]).all()


def test_a_spectrum_is_a_pixel_of_the_cube(estimate):
    cube, std = estimate.bands(), estimate.std()
    for y, x in np.ndindex(estimate.grid.shape):
        value, bar = estimate.spectrum(y, x)
        assert value == pytest.approx(cube[:, y, x], abs=4 * 25 * EPS, nan_ok=True)
        assert bar == pytest.approx(std[:, y, x], rel=10 * EPS, nan_ok=True)


def test_without_a_variance_there_is_no_error_bar(subspace):
    plain = Estimate(np.zeros((RANK, 2, 2), np.float32), subspace, Grid(2, (0, 0), (2, 2)))
    assert np.isnan(plain.std()).all()


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_upsampling_keeps_a_ramp_where_it_is(scale):
    """A linear image takes its own values at the HR pixel centres, except beyond the outermost LR centres."""
    rows, cols = np.indices((5, 6)).astype(np.float32)
    up = upsample_linear(np.stack([rows, cols]), scale)
    y, x = (np.clip(hr_to_lr(np.arange(n * scale), scale), 0, n - 1) for n in (5, 6))
    assert up[0] == pytest.approx(np.repeat(y[:, None], 6 * scale, 1), abs=10 * EPS)
    assert up[1] == pytest.approx(np.repeat(x[None], 5 * scale, 0), abs=10 * EPS)


def test_upsampling_an_image_of_one_pixel():
    assert np.array_equal(upsample_linear(np.full((2, 1, 1), 3.0, np.float32), 3), np.full((2, 3, 3), 3.0))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_point_finds_the_hr_pixel_around_it(scale):
    grid = Grid(scale, (2, 3), (4 * scale, 5 * scale))
    for y, x in np.ndindex(grid.shape):
        centre = float(hr_to_lr(y, scale)) + 2, float(hr_to_lr(x, scale)) + 3
        for nudge in (-0.45 / scale, 0.0, 0.45 / scale):
            assert hr_index((centre[0] + nudge, centre[1] - nudge), grid) == (y, x)
    assert hr_index((1.4, 4.0), grid) is None
    assert hr_index((3.0, 7.6), grid) is None


def test_power_is_read_between_the_rings():
    """A power law is straight in log power over log frequency; the interpolation is in log power over frequency."""
    spectrum = PowerSpectrum(np.array([0.1, 0.2, 0.4]), np.array([[8.0, 2.0, 0.5]]))
    radius = np.array([[0.0, 0.1, 0.15], [0.2, 0.3, 9.0]])
    expected = np.array([[8.0, 8.0, 4.0], [2.0, 1.0, 0.5]])  # outside, the nearest ring
    assert spectrum.at(radius)[0] == pytest.approx(expected, rel=1e-12)


def test_a_registration_knows_who_is_in_and_who_only_shifts():
    turned = np.eye(3)
    turned[0, 1] = 0.01
    frames = [FrameMotion(np.eye(3)), FrameMotion(turned, excluded=True), FrameMotion(translation((1.5, -2.0)))]
    assert Registration(tuple(frames)).included == (0, 2)
    assert Registration(tuple(frames)).is_shift
    assert not Registration((frames[0], FrameMotion(turned))).is_shift
    assert not FrameMotion(np.eye(3), field=np.zeros((2, 4, 4), np.float32)).is_shift
    assert Registration(tuple(frames)).shifts.tolist() == [[0, 0], [0, 0], [1.5, -2.0]]

"""Noise per band, against noise that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hsimisr.io.open import open_cube
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.noise import FEW_BANDS, estimate_noise
from hsimisr.physics.simulator import simulate

SHAPE = (60, 50)


def mixed(bands, rank, sigma, seed=0):
    """A cube of `rank` spectra, 30 times as strong as the noise, and white noise of `sigma` per band."""
    rng = np.random.default_rng(seed)
    spectra = rng.uniform(0.2, 1, (bands, rank)) * sigma[:, None] * 30
    cube = np.tensordot(spectra, rng.standard_normal((rank, *SHAPE)), 1)
    return (cube + sigma[:, None, None] * rng.standard_normal((bands, *SHAPE))).astype(np.float32)


def everywhere(cube):
    return np.ones(cube.shape[1:], bool)


@pytest.mark.parametrize(("bands", "rank"), [(30, 3), (60, 8), (150, 5)])
def test_noise_that_no_factor_explains_is_found(bands, rank):
    sigma = np.geomspace(0.5, 5, bands)
    cube = mixed(bands, rank, sigma)
    bound = sampling_error(cube[0].size) + taken_by_factors(rank, bands)
    assert estimate_noise([cube], [everywhere(cube)]) == pytest.approx(sigma, rel=bound)


def test_pure_noise_is_all_noise():
    sigma = np.geomspace(0.5, 5, 40)
    cube = sigma[:, None, None] * np.random.default_rng(1).standard_normal((40, *SHAPE))
    assert estimate_noise([cube], [everywhere(cube)]) == pytest.approx(sigma, rel=sampling_error(cube[0].size))


def test_units_scale_the_estimate():
    cube = mixed(30, 3, np.ones(30))
    plain = estimate_noise([cube], [everywhere(cube)])
    scaled = estimate_noise([cube * np.float32(2**10)], [everywhere(cube)])
    assert scaled == pytest.approx(plain * 2**10, rel=1e-6)


def test_masked_pixels_do_not_count():
    cube = mixed(30, 3, np.ones(30))
    mask = everywhere(cube)
    mask[10:30, 10:30] = False
    plain = estimate_noise([cube], [mask])
    cube[:, 10:30, 10:30] = 1e5
    assert np.array_equal(estimate_noise([cube], [mask]), plain)


@pytest.mark.parametrize("bands", [1, 4, FEW_BANDS - 1])
def test_with_few_bands_noise_is_judged_in_space(bands):
    """A median needs 1 / 0.37 times the values that a standard deviation needs, and each counts four times."""
    sigma = np.geomspace(0.5, 5, bands)
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(60.0), 2 * np.arange(50.0))
    cube = (ramp + sigma[:, None, None] * rng.standard_normal((bands, *SHAPE))).astype(np.float32)
    bound = sampling_error(0.37 / 4 * ramp.size)
    assert estimate_noise([cube], [everywhere(cube)]) == pytest.approx(sigma, rel=bound)


def test_texture_only_raises_the_noise_of_few_bands():
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((1, *SHAPE)).astype(np.float32)
    textured = cube + 2 * rng.standard_normal((1, *SHAPE)).astype(np.float32)
    plain, raised = (estimate_noise([c], [everywhere(c)]) for c in (cube, textured))
    assert raised > plain


def test_a_constant_band_among_few_has_some_noise():
    assert (estimate_noise([np.ones((2, *SHAPE), np.float32)], [np.ones(SHAPE, bool)]) > 0).all()


@pytest.mark.parametrize("scene", ["jasper-ridge", "pavia-centre", "salinas-a", "samson", "abu-urban-1"])
def test_noise_added_to_real_scenes_is_found(shared_data, scene):
    """In the bands that are clean enough to tell: a scene's own noise is neither white nor known."""
    cube = open_cube(shared_data / "scenes" / f"{scene}.mat")
    truth = cube.read()[cube.good]
    clean, noisy = (simulate(truth, 2, 4, snr=snr, max_shift=1.0, seed=1) for snr in (math.inf, 30.0))
    masks = [np.ones(f.shape[1:], bool) for f in clean.frames]
    own, found = (estimate_noise(list(s.frames), masks) for s in (clean, noisy))
    tell = own < 0.3 * noisy.sigma
    assert tell.mean() > 0.7
    expected = np.hypot(own, noisy.sigma)
    bound = sampling_error(clean.frames[:, 0].size) + taken_by_factors(MAX_RANK, len(truth))
    assert found[tell] == pytest.approx(expected[tell], rel=bound)


def sampling_error(values):
    """Five times the relative error of a standard deviation from so many values."""
    return 5 / math.sqrt(2 * values)


def taken_by_factors(rank, bands):
    """Part of a band's standard deviation that the factors cannot tell from themselves: half that of its variance."""
    return rank / (bands - rank) / 2

"""Noise per band, against noise that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hsimisr.errors import ConfigError
from hsimisr.io.open import open_cube
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.noise import CLEANEST, FEW_BANDS, estimate_noise, find_noise, fixed_noise
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
    cube = flat(bands, sigma, np.random.default_rng(0))
    bound = sampling_error(0.37 / 4 * cube[0].size)
    assert estimate_noise([cube], [everywhere(cube)]) == pytest.approx(sigma, rel=bound)


def test_texture_only_raises_the_noise_of_few_bands():
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((1, *SHAPE)).astype(np.float32)
    textured = cube + 2 * rng.standard_normal((1, *SHAPE)).astype(np.float32)
    plain, raised = (estimate_noise([c], [everywhere(c)]) for c in (cube, textured))
    assert raised > plain


def test_a_constant_band_among_few_has_some_noise():
    assert (estimate_noise([np.ones((2, *SHAPE), np.float32)], [np.ones(SHAPE, bool)]) > 0).all()


def flat(bands, sigma, rng):
    """White noise on a slope, which diagonal differences do not see."""
    ramp = np.add.outer(np.arange(60.0), 2 * np.arange(50.0))
    return (ramp + sigma[:, None, None] * rng.standard_normal((bands, *SHAPE))).astype(np.float32)


@pytest.mark.parametrize(("bands", "rank"), [(9, 2), (30, 3), (60, 8), (40, 0)])
def test_errors_of_many_bands_are_as_large_as_their_standard_errors(bands, rank):
    """Over twelve seeds; where factors take up a band, it is known less well than plain averages would have it."""
    sigma = np.geomspace(0.5, 5, bands)
    rng = np.random.default_rng(2)
    spectra = rng.uniform(0.2, 1, (bands, rank)) * sigma[:, None] * 30
    scores = []
    for _ in range(12):
        cube = np.tensordot(spectra, rng.standard_normal((rank, *SHAPE)), 1)
        cube = (cube + sigma[:, None, None] * rng.standard_normal((bands, *SHAPE))).astype(np.float32)
        found = find_noise([cube], [everywhere(cube)])
        scores.append((found.sigma - sigma) / found.stderr)
    assert 1 / 1.5 < np.sqrt(np.mean(np.square(scores))) < 1.5
    assert (found.stderr > 0.99 * found.sigma / math.sqrt(2 * cube[0].size)).all()


@pytest.mark.parametrize("frames", [1, 3])
def test_errors_of_few_bands_are_as_large_as_their_standard_errors(frames):
    sigma = np.geomspace(0.5, 5, 4)
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(40 // frames):
        cubes = [flat(4, sigma, rng) for _ in range(frames)]
        found = find_noise(cubes, [everywhere(cube) for cube in cubes])
        scores.append((found.sigma - sigma) / found.stderr)
    assert 1 / 1.5 < np.sqrt(np.mean(np.square(scores))) < 1.5


@pytest.mark.parametrize("bands", [3, 30])
def test_four_times_the_pixels_halve_the_standard_error(bands):
    cube = mixed(bands, 1, np.ones(bands))
    few, many = (find_noise([c], [everywhere(c)]).stderr for c in (cube[:, :31, :26], cube[:, :60, :50]))
    assert few / many == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("bands", [3, 30])
def test_noise_too_low_to_be_told_has_no_standard_error(bands):
    cube = mixed(bands, 1, np.ones(bands))
    cube[1] = np.sin(np.arange(SHAPE[1]) / 10)  # another factor than the rest, alone in its band
    cube[2] = 1e5 * cube[1]
    found = find_noise([cube], [everywhere(cube)])
    assert np.isnan(found.stderr[[1, 2]]).all()
    assert (found.sigma[[1, 2]] > 0).all()
    assert np.isfinite(np.delete(found.stderr, [1, 2])).all()


def test_fixed_noise_is_taken_as_it_is():
    cube = mixed(5, 1, np.ones(5))
    good = np.zeros(5, bool)
    assert np.array_equal(fixed_noise((0.3,), good, [cube], [everywhere(cube)]), np.full(5, 0.3))
    bad = np.array([False, True, False, False, False])
    numbers = (0.3, math.nan, 1.0, 2.0, 0.4)
    assert np.array_equal(fixed_noise(numbers, bad, [cube[~bad]], [everywhere(cube)]), [0.3, 1.0, 2.0, 0.4])


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1.0, 2.0), "it has 2 numbers and the frames have 5 bands"),
        ((1.0, 1.0, math.nan, 1.0, 1.0), "band 2, counted from 0, is not bad and has no number"),
        ((math.nan,), "band 0"),
        ((1.0, 1.0, 1.0, 1e-4, 1.0), "0.0001 in band 3, counted from 0, is less than a thousandth of its contrast"),
    ],
)
def test_fixed_noise_that_does_not_fit_the_frames_is_named(numbers, words):
    cube = mixed(5, 1, np.ones(5))
    with pytest.raises(ConfigError, match=words):
        fixed_noise(numbers, np.zeros(5, bool), [cube], [everywhere(cube)])


def test_fixed_noise_may_be_as_low_as_a_thousandth_of_the_contrast():
    """However far from zero the values are: temperatures in kelvin vary by little of themselves."""
    cube = mixed(3, 1, np.ones(3))
    least = CLEANEST * cube.std((1, 2)).max()
    assert fixed_noise((1.01 * least,), np.zeros(3, bool), [cube + 1e4], [everywhere(cube)]) == pytest.approx(
        1.01 * least
    )


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

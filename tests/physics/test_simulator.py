"""Simulated frames against scenes whose blurred values are known in closed form, and the laws of their noise."""

from __future__ import annotations

import math
from itertools import product
from typing import get_args

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.stats import norm

from hsimisr.errors import ConfigError
from hsimisr.geometry import apply_motion, is_translation, lr_to_hr
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.psf import Psf
from hsimisr.physics.rendering import DEGREE, TAIL, Kernel
from hsimisr.physics.simulator import BEND, OVERSAMPLING, PERSPECTIVE, SMOOTH, STRETCH, TILT, Motion, simulate

PSFS = ["box", "mtf:0.29", "gauss:1.0", "bicubic"]
SCALES = [2, 3, 4]
WAVES = np.array([[0.03, 0.07], [-0.09, 0.02], [0.11, 0.12]])  # cycles per HR sample, (y, x)
PHASES = np.array([0.3, 1.1, -2.0])
SIZES = np.array([1.0, 0.7, 0.4])
MEAN = 5.0


def scene_at(index, damping=1.0):
    """The analytic scene at HR sample coordinates ``(..., 2)``, each wave damped."""
    return MEAN + (SIZES * damping * np.cos(2 * np.pi * index @ WAVES.T + PHASES)).sum(-1)


def analytic_scene(scale):
    side = 32 * scale + 60
    return scene_at(np.stack(np.mgrid[:side, :side], -1).astype(float))[None]


def tolerance(samples_per_hr=(1,)):
    """What splines on grids of these densities, cut PSF tails and float32 may change in a pixel.

    A cardinal spline of degree n carries the frequency f + k with the weight sinc^(n+1)(f + k) / sum (Unser, IEEE
    Signal Processing Magazine 16(6), 1999): the error is at most twice what goes to k != 0.
    """
    error = 8 * norm.sf(TAIL) * SIZES.sum() + np.finfo(np.float32).eps * (MEAN + SIZES.sum())
    for density in samples_per_hr:
        # warped waves are shorter by what the linear part and a local field do
        shorter = 1 if samples_per_hr == (1,) else 1 + TILT + 2 * math.pi * BEND / (2 * SMOOTH)
        frequency = np.abs(WAVES)[..., None] * shorter / density
        weight = np.sinc(frequency + np.arange(-50, 51)) ** (DEGREE + 1)
        images = 2 * (1 - weight[..., 50] / weight.sum(-1))
        error += SIZES @ images.sum(1)
    return float(error)


def inner_pixels(scale, shape):
    """LR pixels that lie so far inside that the end conditions of the splines (fading by 0.431 a sample) are gone."""
    rim = math.ceil(16 / scale)
    return np.stack(np.mgrid[rim : shape[0] - rim, rim : shape[1] - rim], -1), (slice(rim, -rim), slice(rim, -rim))


@pytest.mark.parametrize(("psf", "scale"), [*product(PSFS, SCALES), ("mtf:0.1,0.4,30", 2)])
@pytest.mark.parametrize("motion", ["shift", "affine"])
def test_pixels_are_the_blurred_scene_at_the_moved_place(psf, scale, motion):
    """A wave stays a wave under an affine motion, so its blurred value follows from the transfer function."""
    simulation = simulate(analytic_scene(scale), scale, 3, psf, math.inf, motion, max_shift=1.5, seed=4)
    pixels, inner = inner_pixels(scale, simulation.frames.shape[2:])
    for frame, matrix in zip(simulation.frames, simulation.motions, strict=True):
        index = lr_to_hr(apply_motion(np.linalg.inv(matrix), pixels), scale) + simulation.origin_yx
        in_frame = WAVES * scale @ np.linalg.inv(matrix)[:2, :2]  # cycles per LR pixel of the frame
        expected = scene_at(index, Psf.parse(psf).on_grid(in_frame[:, 0], in_frame[:, 1]))
        bound = tolerance() if motion == "shift" else tolerance((1, OVERSAMPLING))
        assert np.abs(frame[0][inner] - expected).max() < bound


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("motion", ["homography", "local"])
def test_other_motion_agrees_with_brute_force_integration(psf, scale, motion):
    """Find by root search which reference points a few pixels look at, and add the scene up over the PSF."""
    simulation = simulate(analytic_scene(scale), scale, 2, psf, math.inf, motion, max_shift=1.5, seed=7)
    h, w = simulation.frames.shape[2:]
    field = np.zeros((2, h, w)) if simulation.fields[1] is None else simulation.fields[1]
    splines = [RectBivariateSpline(np.arange(h), np.arange(w), part, kx=5, ky=5) for part in field]
    kernel = Kernel.of(psf, 1)
    offsets = np.stack(np.meshgrid(kernel.nodes, kernel.nodes, indexing="ij"), -1).reshape(-1, 2)
    weights = np.outer(kernel.weights, kernel.weights).ravel()

    def to_frame(reference):
        bend = np.stack([spline.ev(reference[:, 0], reference[:, 1]) for spline in splines], -1)
        return apply_motion(simulation.motions[1], reference) + bend

    for pixel in [(h // 2, w // 2), (h // 2 - 3, w // 2 + 2)]:
        seen = np.asarray(pixel) - offsets
        start = apply_motion(np.linalg.inv(simulation.motions[1]), seen)
        for _ in range(30):  # Newton's method with the identity for a Jacobian
            start = start - (to_frame(start) - seen)
        assert np.abs(to_frame(start) - seen).max() < 1e-9
        expected = weights @ scene_at(lr_to_hr(start, scale) + simulation.origin_yx)
        # The field was rounded to float32 and interpolated: 1e-6 px times the steepest slope of the scene.
        slope = 2 * np.pi * scale * SIZES @ np.abs(WAVES).sum(1)
        bound = tolerance((1, OVERSAMPLING)) + 1e-6 * slope
        assert abs(simulation.frames[1, 0][pixel] - expected) < bound


def test_motions_stay_within_what_is_stated():
    scene = np.ones((1, 50, 44))
    turns, scales, shears = [], [], []
    for seed in range(40):
        for matrix in simulate(scene, 2, 4, "box", motion="affine", max_shift=0, seed=seed).motions[1:]:
            rotation, upper = np.linalg.qr(matrix[:2, :2])
            sign = np.sign(np.diag(upper))
            rotation, upper = rotation * sign, upper * sign[:, None]
            turns.append(math.degrees(math.atan2(rotation[1, 0], rotation[0, 0])))
            scales += list(np.diag(upper))
            shears.append(upper[0, 1])
    assert 1.9 < np.abs(turns).max() <= 2
    assert 0.019 < np.abs(np.array(scales) - 1).max() <= STRETCH
    assert 0.019 < np.abs(shears).max() <= STRETCH


def test_a_homography_leaves_the_middle_where_the_shift_puts_it():
    simulation = simulate(np.ones((1, 120, 120)), 2, 6, "box", motion="homography", max_shift=0, seed=1)
    h, w = simulation.frames.shape[2:]
    middle = np.array([(h - 1) / 2, (w - 1) / 2])
    for motion in simulation.registration.frames[1:]:
        assert motion.model == "homography"
        assert apply_motion(motion.matrix, middle) == pytest.approx(middle)
        weight = np.append(middle, 1) @ motion.matrix[2]
        assert np.abs(motion.matrix[2, :2] / weight).max() <= PERSPECTIVE / (min(h, w) / 2)


def test_local_fields_are_smooth_and_ride_on_an_affine_motion():
    simulation = simulate(np.ones((1, 140, 140)), 2, 4, "box", motion="local", seed=1)
    fields = np.stack(simulation.fields[1:]).astype(float)
    assert 0.7 * BEND < np.abs(fields).max() <= BEND
    curvature = max(np.abs(np.diff(fields, 2, axis=axis)).max() for axis in (2, 3))
    assert curvature <= BEND * (math.pi / SMOOTH) ** 2
    assert not any(is_translation(matrix) for matrix in simulation.motions[1:])


@pytest.mark.parametrize("motion", get_args(Motion))
@pytest.mark.parametrize("size", [(60, 60), (60, 100)])
def test_no_pixel_looks_past_the_scene(motion, size):
    """The corner pixels with their PSF, moved back into the scene."""
    reach = Kernel.of("box", 2).reach
    for seed in range(3):
        simulation = simulate(np.ones((1, *size)), 2, 4, "box", motion=motion, max_shift=1.5, seed=seed)
        h, w = simulation.frames.shape[2:]
        corners = np.array([[y, x] for y in (-reach, h - 1 + reach) for x in (-reach, w - 1 + reach)])
        for frame in simulation.registration.frames:
            samples = lr_to_hr(invert_motion(frame, corners), 2) + simulation.origin_yx
            assert samples.min() >= -0.5 - 1e-9
            assert (samples.max(0) <= np.array(size) - 0.5 + 1e-9).all()


def test_frames_move_the_way_the_convention_says():
    """Scene content that stands further down in frame k means a positive M_k[0][2]."""
    scene = np.zeros((1, 120, 120))
    scene[0, 60, 60] = 1.0
    simulation = simulate(scene, 2, 6, "gauss:2.0", math.inf, seed=1)
    rows, columns = np.indices(simulation.frames.shape[2:])
    centre = np.array([[(f[0] * rows).sum(), (f[0] * columns).sum()] / f[0].sum() for f in simulation.frames])
    # Sampling moves a centroid by what the slope of the transfer function is at 1 cycle per pixel, over pi; besides,
    # float32 rounds the first moment of 60 rows.
    variance = 4 / (8 * math.log(2))
    aliased = 4 * math.pi * variance * Psf.parse("gauss:2.0").transfer(np.array([1.0]))[0]
    bound = 2 * aliased + 60 * np.finfo(np.float32).eps
    assert centre - centre[0] == pytest.approx(simulation.motions[:, :2, 2], abs=bound)


@pytest.mark.parametrize("motion", get_args(Motion))
def test_frames_show_what_lies_beyond_the_truth_and_wrap_nothing_around(motion):
    scene = np.zeros((1, 120, 120))
    plain = simulate(scene, 2, 8, motion=motion, snr=math.inf, seed=2)
    top, left = plain.origin_yx
    scene[0, top - 2, left : left + plain.truth.shape[2]] = 1e3  # one LR pixel above the reference's footprint
    frames = simulate(scene, 2, 8, motion=motion, snr=math.inf, seed=2).frames[:, 0]
    assert np.abs(frames[:, -6:]).max() < 1e-9
    down = plain.motions[:, 0, 2] > 1
    assert down.any()
    assert (frames[down, :3].max((1, 2)) > 50).all()


def test_noise_has_the_stated_level_per_band():
    scene = np.random.default_rng(0).uniform(1, 2, (3, 200, 200)) * np.array([1, 10, 100])[:, None, None]
    clean, noisy = (simulate(scene, 2, 4, snr=snr, seed=5) for snr in (math.inf, 20.0))
    noise = noisy.frames - clean.frames.astype(float)
    rms = np.sqrt((clean.frames.astype(float) ** 2).mean((0, 2, 3)))
    assert 20 * np.log10(rms / noisy.sigma) == pytest.approx(np.full(3, 20.0))
    # the relative error of a standard deviation from n values is 1 / sqrt(2 n); five of those
    n = noise[:, 0].size
    assert noise.std((0, 2, 3)) == pytest.approx(noisy.sigma, rel=5 / math.sqrt(2 * n))
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] == pytest.approx(0, abs=5 / math.sqrt(noise[0].size))


def test_shot_noise_grows_with_the_signal_and_keeps_the_mean_power():
    scene = np.repeat(np.linspace(1, 9, 200)[None, None], 200, axis=1)
    clean, noisy = (simulate(scene, 2, 12, snr=snr, seed=5, shot=True, max_shift=0) for snr in (math.inf, 30.0))
    power = (noisy.frames.astype(float) - clean.frames) ** 2
    signal = clean.frames.astype(float)
    columns = power.mean((0, 1, 2)) / signal.mean((0, 1, 2))
    n = power[:, 0, :, 0].size
    assert columns / columns.mean() == pytest.approx(np.ones_like(columns), abs=5 * math.sqrt(2 / n))
    assert power.mean() == pytest.approx(noisy.sigma[0] ** 2, rel=5 * math.sqrt(2 / power.size) * 1.5)


def test_noise_can_be_given_per_band_and_motion_does_not_depend_on_it():
    scene = np.ones((2, 120, 120))
    given, other = simulate(scene, 2, 3, band_sigma=[0.1, 0.0]), simulate(scene, 2, 3, snr=10)
    assert given.sigma.tolist() == [0.1, 0.0]
    assert given.frames[:, 1] == pytest.approx(np.ones_like(given.frames[:, 1]))
    assert np.array_equal(given.motions, other.motions)


def test_first_frame_is_the_reference_and_gains_are_reported():
    scene = np.random.default_rng(0).uniform(1, 2, (1, 120, 120))
    plain, gained = (simulate(scene, 2, 4, snr=math.inf, gain_spread=g) for g in (0.0, 0.1))
    assert np.array_equal(plain.motions[0], np.eye(3))
    assert gained.gains[0] == 1
    assert gained.frames == pytest.approx(plain.frames * gained.gains[:, None, None, None], rel=1e-6)
    assert [motion.gain for motion in gained.registration.frames] == gained.gains.tolist()


def test_same_seed_same_frames():
    scene = np.random.default_rng(0).uniform(1, 2, (2, 120, 120))
    first, again, other = (simulate(scene, 3, 3, seed=seed, motion="local") for seed in (8, 8, 9))
    assert np.array_equal(first.frames, again.frames)
    assert not np.array_equal(first.frames, other.frames)


def test_bad_bands_stay_and_stay_apart():
    scene = np.random.default_rng(0).uniform(1, 2, (3, 120, 120))
    whole = simulate(scene, 2, 2, snr=math.inf, motion="affine").frames
    scene[1] = np.nan
    holed = simulate(scene, 2, 2, snr=math.inf, motion="affine").frames
    assert np.isnan(holed[:, 1]).all()
    assert np.array_equal(holed[:, [0, 2]], whole[:, [0, 2]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 4}, "16 is the least"),
        ({"motion": "swirl"}, "swirl"),
        ({"psf": "mtf:0.9"}, "mtf:0.9"),
        ({"frames": 0}, "number of frames"),
    ],
)
def test_requests_that_cannot_work_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        simulate(np.ones((1, 80, 80)), **{"scale": 2, "frames": 3, **change})

"""Motion between two frames of scenes known in closed form, and whether its error bars are honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import translation
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion
from hsimisr.registration.displacement import KNOT_SPACING
from hsimisr.registration.gauss_newton import ENOUGH, pair_motion
from hsimisr.registration.register import basis_of, with_field

CPU = torch.device("cpu")
HIGHEST = 0.128
SPLINE_ERROR = (HIGHEST / (1 - HIGHEST)) ** 4 / (2 * np.pi * HIGHEST)
"""Bound, pixels, on what cubic splines of a wave of that many cycles per pixel, the shortest here, leave: they turn
``(f / (1 - f))^4`` of it into its alias, against a slope of ``2 pi f``."""
NEAR = SPLINE_ERROR + 2 * ENOUGH
BORDER = 6
"""Pixels at the edge of a frame that a prefilter of width 1 sees from one side only, or that the splines go past."""
ROTATION = np.radians(2.0)
TURN = np.array([[np.cos(ROTATION), -np.sin(ROTATION)], [np.sin(ROTATION), np.cos(ROTATION)]])
STRETCH = np.diag([1.02, 0.98])


def found(waves, frame, start=(0.0, 0.0), model="translation", reference=None, alike=0.5, **more):
    """The pair found from a start, a shift or a motion."""
    reference = waves.seen() if reference is None else reference
    begin = start if isinstance(start, FrameMotion) else FrameMotion(translation(start))
    basis = basis_of(model, reference.shape[1:], CPU)
    return pair_motion(waves.prepared(reference), waves.prepared(frame, **more), begin, basis, alike=alike)


def climbed(waves, frame, models):
    """The motion found by these models, each from where the one before ended."""
    motion = FrameMotion(np.eye(3))
    for model in models:
        motion = found(waves, frame, with_field(motion, waves.shape) if model == "local" else motion, model).motion
    return motion


def apart(motion, truth, shape):
    """Distance ``(h, w)`` between where two motions show the reference's pixels."""
    pixels = np.moveaxis(np.indices(shape), 0, -1)
    return np.linalg.norm(forward_motion(motion, pixels) - forward_motion(truth, pixels), axis=-1)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.25, -0.4), (0.5, 0.5), (2.3, -1.7), (-6.45, 5.05)])
def test_sub_pixel_shifts_are_found(waves, shift):
    assert found(waves, waves.seen(shift), np.rint(shift)).motion.shift == pytest.approx(shift, abs=NEAR)


def test_a_start_two_pixels_off_is_forgiven(waves):
    assert found(waves, waves.seen((1.2, -1.6))).motion.shift == pytest.approx([1.2, -1.6], abs=NEAR)


@pytest.mark.parametrize("linear", [TURN, TURN.T, STRETCH, TURN @ STRETCH, [[1, 0.02], [0, 1]]])
def test_affine_motions_are_found(waves, linear):
    truth = waves.turned((0.6, -0.4), linear)
    motion = climbed(waves, waves.seen(truth), ["translation", "affine"])
    assert motion.model == "affine"
    # what splines leave enters the slopes too, which are levers of half a frame: a few times as much
    assert apart(motion, truth, waves.shape).max() < 4 * NEAR


def test_homographies_are_found(waves):
    """The scale changes by 2 % from the middle to an edge, and with it the prefilter's width on the ground: that
    changes a wave of frequency f by ``(2 pi f)^2 0.02``, against a slope of ``2 pi f``."""
    truth = waves.turned((-0.3, 0.7), TURN @ STRETCH, (0.02 / 20, -0.02 / 18))
    motion = climbed(waves, waves.seen(truth), ["translation", "affine", "homography"])
    assert motion.model == "homography"
    assert motion.matrix[2, :2] == pytest.approx(truth.matrix[2, :2], abs=1e-4)
    assert apart(motion, truth, waves.shape).max() < 2 * np.pi * HIGHEST * 0.02


def test_local_fields_are_found(waves):
    """As well as splines can: a wave of length L by knots h apart is off by ``(2 pi h / L)^4 / 384`` at best."""
    size = 0.8
    truth = waves.turned((0.6, -0.4), TURN, field=waves.bend(size))
    motion = climbed(waves, waves.seen(truth), ["translation", "affine", "local"])
    assert motion.model == "local"
    best = size * (2 * np.pi * KNOT_SPACING / min(waves.shape)) ** 4 / 384
    inner = apart(motion, truth, waves.shape)[BORDER:-BORDER, BORDER:-BORDER]
    assert inner.max() < 8 * best


def test_gain_and_offsets_are_found(waves):
    offset = np.array([500.0, -2000.0, 100.0])
    pair = found(waves, 1.3 * waves.seen((0.3, -0.2)) + offset[:, None, None])
    assert pair.motion.gain == pytest.approx(1.3, rel=1e-3)
    assert pair.offset == pytest.approx(offset, abs=0.1)
    assert pair.motion.shift == pytest.approx([0.3, -0.2], abs=NEAR)


@pytest.mark.parametrize("snr", [20, 3])
def test_the_gain_of_a_noisy_copy_is_unbiased(waves, snr):
    """Noise in the reference, left in, would make the gain smaller."""
    rng = np.random.default_rng(0)
    clean = waves.seen(shape=(27, 27))
    clean *= 10 ** (snr / 20) / clean.std()
    gains = []
    for _ in range(10):
        a, b = (clean + rng.standard_normal(clean.shape) for _ in range(2))
        gains.append(found(waves, b, reference=a).motion.gain)
    assert np.mean(gains) == pytest.approx(1, abs=3 * np.std(gains, ddof=1) / np.sqrt(len(gains)))


@pytest.mark.parametrize("model", ["translation", "affine"])
@pytest.mark.parametrize("middle", [(32, 30), (0, 0), (32, 0)])
def test_a_cloud_over_a_third_of_the_frame_does_not_move_the_result(waves, model, middle):
    """A cloud leaves fewer pixels: errors as large as those of a smaller frame, but no pull."""
    shape = (64, 60)
    y, x = np.indices(shape)
    distance = np.hypot(y - middle[0], x - middle[1])
    cloud = distance <= np.quantile(distance, 0.3)
    noise = 5 * np.random.default_rng(0).standard_normal((waves.rank, *shape))
    clear = waves.seen((0.3, -0.2), shape) + noise
    clouded = np.where(cloud, np.array([800.0, -500.0, 300.0])[:, None, None], clear)
    reference = waves.seen(shape=shape)
    pairs = [found(waves, frame, model=model, reference=reference) for frame in (clear, clouded)]
    bar = np.sqrt(max(np.trace(pair.motion.covariance) for pair in pairs))
    # both are off by as much as their error bar says, five times that at the corners at the very most
    assert apart(pairs[1].motion, pairs[0].motion, shape).max() < 5 * bar
    assert pairs[1].alike < 0.72 < pairs[0].alike
    assert pairs[1].mismatch < 0.05


def test_a_frame_that_is_mostly_hidden_is_found_by_the_rest(waves):
    """Where most pixels show a cloud, medians are those of the cloud."""
    shape = (64, 60)
    cloud = np.indices(shape)[0] < 0.6 * shape[0]
    noise = 5 * np.random.default_rng(0).standard_normal((waves.rank, *shape))
    clear = waves.seen((0.3, -0.2), shape) + noise
    hidden = np.where(cloud, np.array([800.0, -500.0, 300.0])[:, None, None] + noise, clear)
    reference = waves.seen(shape=shape)
    by_most, by_few = (found(waves, hidden, reference=reference, alike=share) for share in (0.5, 0.25))
    assert by_most.mismatch > 0.6
    assert by_few.mismatch < 0.05
    assert 0.25 < by_few.alike < 0.4
    bar = np.sqrt(np.trace(by_few.motion.covariance))
    assert by_few.motion.shift == pytest.approx([0.3, -0.2], abs=5 * bar)


def test_frames_may_differ_in_size(waves):
    pair = found(waves, waves.seen((2.3, -1.7), (31, 44)), (2, -2))
    assert pair.motion.shift == pytest.approx([2.3, -1.7], abs=NEAR)


def test_swapping_the_frames_turns_the_shift_around(waves):
    a, b = waves.seen(), waves.seen((0.3, -0.2))
    forth, back = found(waves, b, reference=a).motion, found(waves, a, reference=b).motion
    assert forth.shift == pytest.approx(-back.shift, abs=2 * ENOUGH)


def test_a_masked_block_does_not_matter(waves):
    mask = np.ones(waves.shape, bool)
    mask[12:20, 10:22] = False
    frame = waves.seen((0.3, -0.2))
    shifts = []
    for value in (1e4, -1e4):
        frame[:, ~mask] = value
        shifts.append(found(waves, frame, mask=mask).motion.shift)
    assert np.array_equal(*shifts)
    assert shifts[0] == pytest.approx([0.3, -0.2], abs=2 * NEAR)


def test_a_start_with_a_field_keeps_it_while_the_matrix_is_found(waves):
    field = waves.bend(0.3)
    start = replace(waves.turned((0.0, 0.0), field=field), model="local")
    motion = found(waves, waves.seen(waves.turned((0.4, 0.2), field=field)), start).motion
    assert motion.model == "local"
    assert np.array_equal(motion.field, field)
    assert motion.shift == pytest.approx([0.4, 0.2], abs=2 * NEAR)


@pytest.mark.parametrize("seed", range(5))
def test_the_gain_stays_small_where_there_is_only_noise(waves, seed):
    """What is left of the reference's power when its noise is taken off may be nothing, or less."""
    a, b = np.random.default_rng(seed).standard_normal((2, waves.rank, *waves.shape))
    assert abs(found(waves, b, reference=a).motion.gain) < 1


def test_mismatch_tells_the_same_scene_from_another(waves):
    rng = np.random.default_rng(0)
    a, b = 100 * rng.standard_normal((2, waves.rank, 40, 36))  # far above the noise
    # the gain of a copy that shares its noise is off by noise over signal
    assert found(waves, a, reference=a).mismatch == pytest.approx(0, abs=1.5 * 100**-4)
    # a shift and a gain explain three of some 300 independent values: what a prefilter leaves, 4 pi pixels each
    independent = waves.rank * 40 * 36 / (4 * np.pi)
    assert found(waves, b, reference=a).mismatch == pytest.approx(1, abs=4 * 3 / independent)


def test_a_frame_that_shows_nothing_stays_where_it_began(waves):
    pair = found(waves, waves.seen(), (1.0, 2.0), mask=np.zeros(waves.shape, bool))
    assert pair.motion.shift.tolist() == [1.0, 2.0]
    assert pair.alike == 0


def test_the_error_bar_covers_the_error(waves):
    """Over many noise draws: d' C^-1 d of an honest covariance has mean 2.

    The covariance counts one independent value in 4 pi prefilter^2 pixels, which is exact for the lowest frequencies;
    at frequency f the prefilter passes ``exp(-(2 pi f)^2)`` of that noise, so it errs on the safe side by as much.
    """
    rng = np.random.default_rng(0)
    shift = np.array([0.3, -0.4])
    clean = waves.seen(shape=(28, 26)), waves.seen(tuple(shift), (28, 26))
    noise, draws = 20.0, 60
    score = []
    for _ in range(draws):
        a, b = (c / noise + rng.standard_normal(c.shape) for c in clean)
        motion = found(waves, b, reference=a).motion
        error = motion.shift - shift
        score.append(error @ np.linalg.solve(motion.covariance, error))
    passed = np.exp(-((2 * np.pi * np.linalg.norm(waves.number, axis=1)) ** 2))
    sampling = 4 / np.sqrt(draws)  # of the mean of chi-squares with two degrees of freedom: relative 1 / sqrt(n)
    assert 2 * passed.min() * (1 - sampling) < np.mean(score) < 2 * (1 + sampling)

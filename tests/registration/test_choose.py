"""Which kind of motion frames show: richer ones only where pixels held out are predicted better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion
from hsimisr.registration.choose import explains_more
from hsimisr.registration.gauss_newton import pair_motion
from hsimisr.registration.register import basis_of

CPU = torch.device("cpu")
SEEDS = range(4)
NOISE = 10.0
RICHER = ["affine", "homography", "local"]


def compared(waves, motions, seed):
    """Noisy frames beside one reference, their shifts found."""
    rng = np.random.default_rng(seed)
    reference, *frames = (
        waves.prepared(waves.seen(motion) / NOISE + rng.standard_normal((waves.rank, *waves.shape)))
        for motion in (FrameMotion(np.eye(3)), *motions)
    )
    basis = basis_of("translation", waves.shape, CPU)
    return [pair_motion(reference, frame, FrameMotion(np.eye(3)), basis).comparison for frame in frames]


def favoured(comparisons):
    shape = comparisons[0].error.shape[1:]
    return [model for model in RICHER if explains_more(comparisons, basis_of(model, shape, CPU))]


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_moved_by_shifts_need_no_more(waves, seed):
    shifts = np.random.default_rng(seed).uniform(-1, 1, (3, 2))
    assert favoured(compared(waves, [FrameMotion(translation(s)) for s in shifts], seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_aliasing_is_not_taken_for_a_richer_motion(make_eigen_frames, waves, seed):
    """A simulated town aliases; what two frames alias differently looks like motion but does not hang together."""
    given = make_eigen_frames(seed=seed, frames=3)
    reference, *frames = (waves.prepared(frame[:8]) for frame in given.frames)
    basis = basis_of("translation", given.frames[0].shape[1:], CPU)
    starts = [FrameMotion(translation(np.rint(m[:2, 2]))) for m in given.simulation.motions[1:]]
    pairs = [pair_motion(reference, *both, basis) for both in zip(frames, starts, strict=True)]
    assert favoured([pair.comparison for pair in pairs]) == []


def test_a_clear_gain_may_be_too_small_to_be_motion(waves):
    """A turn explains nearly all that differs, but not more than that."""
    angle = np.radians(1.0)
    linear = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    comparisons = compared(waves, [waves.turned((0.3, -0.6), linear)], 0)
    basis = basis_of("affine", waves.shape, CPU)
    assert explains_more(comparisons, basis, least=0.02)
    assert not explains_more(comparisons, basis, least=1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_turn_of_one_degree_is_seen(waves, seed):
    angle = np.radians(1.0)
    linear = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert "affine" in favoured(compared(waves, [waves.turned((0.3, -0.6), linear)], seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_perspective_is_seen(waves, seed):
    found = favoured(compared(waves, [waves.turned((0.3, -0.6), perspective=(0.01 / 20, 0.01 / 20))], seed))
    assert "homography" in found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bend_of_a_third_of_a_pixel_is_seen(waves, seed):
    assert "local" in favoured(compared(waves, [waves.turned((0.3, -0.6), field=waves.bend(0.3))], seed))


def test_frames_that_agree_need_nothing(waves):
    """Not even the smallest gain counts where nothing is left to explain."""
    same = waves.prepared(waves.seen())
    basis = basis_of("translation", waves.shape, CPU)
    comparison = pair_motion(same, same, FrameMotion(np.eye(3)), basis).comparison
    assert favoured([comparison, comparison]) == []


def test_frames_that_share_a_reference_count_once(waves):
    """The same evidence twice is no more than once: the errors of the reference are the same in both."""
    angle = np.radians(0.12)
    linear = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for seed in SEEDS:
        one = compared(waves, [waves.turned((0.0, 0.0), linear)], seed)
        assert favoured(one) == favoured(one * 5)

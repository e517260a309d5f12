"""Frames on a canvas: every datum where its motion puts it, with the weight it deserves, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.geometry import View, apply_motion, translation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import GUARD, canvas_offset, lay_out
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.physics.warp import WarpOperator

CPU = torch.device("cpu")
PSF = Psf.parse("mtf:0.29")
VIEW = View(6, 18, 5, 16)
CANVAS = Canvas.around(VIEW, 4, 2)
SHAPES = [(26, 24), (26, 24), (20, 30)]
SHIFTS = [(0.0, 0.0), (3.4, -2.3), (-1.6, 0.2)]


def frames_of(rank=2):
    """Each pixel tells its frame, channel, row and column."""
    return [
        np.stack([1e6 * k + 1e5 * c + 100.0 * np.indices(shape)[0] + np.indices(shape)[1] for c in range(rank)]).astype(
            np.float32
        )
        for k, shape in enumerate(SHAPES)
    ]


def masks_of():
    return [np.ones(shape, bool) for shape in SHAPES]


def registration_of(**changes):
    motions = [FrameMotion(translation(shift)) for shift in SHIFTS]
    for k, motion in changes.items():
        motions[int(k[-1])] = motion
    return Registration(tuple(motions))


def laid_out(frames=None, masks=None, registration=None, **more):
    return lay_out(
        frames or frames_of(), masks or masks_of(), registration or registration_of(), CANVAS, PSF, CPU, **more
    )


def test_every_canvas_pixel_holds_the_frame_pixel_that_lies_there():
    """Canvas pixel c is frame pixel c + origin + whole shift, inside the guard ring and inside the frame."""
    frames, observations = frames_of(), laid_out()
    for k, (frame, shift) in enumerate(zip(frames, SHIFTS, strict=True)):
        for cy, cx in np.ndindex(CANVAS.shape):
            y, x = (c + o + round(d) for c, o, d in zip((cy, cx), CANVAS.origin, shift, strict=True))
            guarded = min(cy, cx, CANVAS.shape[0] - 1 - cy, CANVAS.shape[1] - 1 - cx) < GUARD
            there = not guarded and 0 <= y < frame.shape[1] and 0 <= x < frame.shape[2]
            expected = frame[:, y, x] if there else np.zeros(2)
            assert np.array_equal(observations.data[k, :, cy, cx], expected)
            assert observations.weight[k, 0, cy, cx] == there


def test_the_operator_is_left_with_the_fractions_of_the_shifts():
    observations = laid_out()
    assert isinstance(observations.operator, ShiftOperator)
    assert observations.operator.shifts == pytest.approx(np.array(SHIFTS) - np.rint(SHIFTS), abs=1e-12)


def test_what_is_masked_weighs_nothing_and_its_value_does_not_matter():
    frames, masks = frames_of(), masks_of()
    masks[1][10:13, 8:11] = False
    frames[1][:, 10:13, 8:11] = np.nan
    observations = laid_out(frames, masks)
    whole = laid_out()
    hidden = (observations.weight < whole.weight)[:, 0]
    assert hidden.sum(dim=(1, 2)).tolist() == [0, 9, 0]
    assert (observations.data[hidden[:, None].expand_as(observations.data)] == 0).all()
    assert torch.equal(
        observations.data[~hidden[:, None].expand_as(whole.data)], whole.data[~hidden[:, None].expand_as(whole.data)]
    )


def test_excluded_frames_stay_out():
    out = FrameMotion(translation(SHIFTS[1]), excluded=True, reason="clouds")
    observations, whole = laid_out(registration=registration_of(frame1=out)), laid_out()
    assert torch.equal(observations.data, whole.data[[0, 2]])
    assert np.array_equal(observations.operator.shifts, whole.operator.shifts[[0, 2]])


def test_gain_and_offset_are_taken_out_and_weigh_as_noise_does():
    """gain * scene + offset with unit noise is the scene with noise of 1 / gain."""
    gain, offset = 1.25, np.array([3.0, -7.0])
    frames = frames_of()
    frames[1] = (gain * frames[1] + offset[:, None, None]).astype(np.float32)
    motion = FrameMotion(translation(SHIFTS[1]), gain=gain, weight=0.5)
    offsets = [np.zeros(2), offset, np.zeros(2)]
    observations, whole = laid_out(frames, registration=registration_of(frame1=motion), offsets=offsets), laid_out()
    rounding = 4 * float(np.finfo(np.float32).eps) * 1.3e6
    assert torch.allclose(observations.data, whole.data, rtol=0, atol=rounding)
    assert torch.equal(observations.weight[1], whole.weight[1] * 0.5 * gain**2)


def test_a_part_of_a_frame_gives_the_data_of_the_whole():
    """Any part that covers the canvas will do, wherever it begins."""
    starts = [(1, 0), (5, 0), (0, 1)]
    parts = [f[:, y:, x:] for f, (y, x) in zip(frames_of(), starts, strict=True)]
    masks = [m[y:, x:] for m, (y, x) in zip(masks_of(), starts, strict=True)]
    observations, whole = laid_out(parts, masks, starts=starts), laid_out()
    assert torch.equal(observations.data, whole.data)
    assert torch.equal(observations.weight, whole.weight)


def test_a_frame_that_does_not_reach_the_canvas_gives_nothing():
    observations = laid_out(registration=registration_of(frame1=FrameMotion(translation((100.0, 0.0)))))
    assert observations.weight[1].sum() == 0
    assert observations.weight[[0, 2]].sum() > 0


def test_one_frame_that_turns_makes_all_of_them_warps():
    linear = np.eye(3)
    linear[0, 1] = 0.01
    observations = laid_out(registration=registration_of(frame1=FrameMotion(linear)))
    assert isinstance(observations.operator, WarpOperator)


def test_a_turning_frame_is_moved_by_its_shift_at_the_centre_of_the_view():
    linear = np.eye(3)
    linear[0, 1], linear[0, 2] = 0.1, 1.0
    centre_x = 5 + (11 - 1) / 2
    assert canvas_offset(FrameMotion(linear), CANVAS).tolist() == [round(1.0 + 0.1 * centre_x), 0]


def test_ground_that_the_canvas_does_not_hold_does_not_count():
    """A turning frame shows such ground at its corners; on a periodic canvas it would wrap around.

    A pure shift leaves at most half a pixel between a datum outside the guard ring and its ground; so must a turn.
    """
    angle, centre = 0.4, np.array([11.5, 10.0])
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    big = [np.ones((1, 60, 60), np.float32)] * 3
    registration = registration_of(frame1=FrameMotion(translation(centre + 20) @ turn @ translation(-centre)))
    observations = laid_out(big, [np.ones((60, 60), bool)] * 3, registration)
    whole = canvas_offset(registration.frames[1], CANVAS) + CANVAS.origin
    seen = np.argwhere(observations.weight[1, 0].numpy() > 0) + whole
    ground = apply_motion(np.linalg.inv(registration.frames[1].matrix), seen) - CANVAS.origin
    assert (ground >= GUARD - 0.5 - 1e-9).all()
    assert (ground <= np.array(CANVAS.shape) - 1 - GUARD + 0.5 + 1e-9).all()
    unmasked = (np.array(CANVAS.shape) - 2 * GUARD).prod()
    assert 0.5 * unmasked < len(seen) < unmasked  # a turn by 23 degrees cuts the corners of a square, no more


def test_filling_keeps_what_was_measured_and_takes_the_rest_from_other_frames():
    frames = [np.ones((1, *shape), np.float32) * 5 for shape in SHAPES]
    masks = masks_of()
    masks[1][8:14, 6:12] = False
    observations = laid_out(frames, masks)
    filled = observations.filled()
    measured = observations.weight > 0
    assert torch.equal(filled.data[measured], observations.data[measured])
    hole = torch.zeros_like(measured[1, 0])
    hole[GUARD + 4 : GUARD + 8, GUARD + 4 : GUARD + 8] = True
    gap = ~measured[1, 0] & hole
    assert gap.any()
    # a mean of fives is five, less the 2 % that the fill gives to the coarser width before it at each of five widths
    assert filled.data[1, 0][gap] == pytest.approx(np.full(int(gap.sum()), 5.0), rel=5 * 0.02)
    assert (filled.weight == 1).all()


def test_without_a_frame_its_data_weigh_nothing():
    observations = laid_out()
    without = observations.without(1)
    assert without.weight[1].sum() == 0
    assert torch.equal(without.weight[[0, 2]], observations.weight[[0, 2]])
    assert torch.equal(without.coverage + observations.weight[1, 0], observations.coverage)
    assert without.trust[:, 0].tolist() == [1, 0, 1]

"""Windows of frames: the part that shows the view, where it begins, and what in it was measured."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View, translation
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.pipeline.frames import read_window, silent_bands

SHAPES = [(30, 28), (30, 28), (24, 40)]
BAD = np.array([False, True, False])
VIEW = View(8, 20, 6, 18)


def coded(shape, k):
    """Values that tell frame, band and pixel."""
    y, x = np.indices(shape)
    return np.stack([1e6 * k + 1e5 * band + 100 * y + x for band in range(3)]).astype(np.float32)


@pytest.fixture
def frames():
    return [coded(shape, k) for k, shape in enumerate(SHAPES)]


def stack_of(frames):
    return FrameStack(tuple(Cube.from_array(f) for f in frames))


def motion_of(*shifts):
    return Registration(tuple(FrameMotion(translation(shift)) for shift in shifts))


def test_each_part_shows_the_view_through_the_motion_and_a_halo(frames):
    registration = motion_of((0, 0), (3.4, -2.6), (-20.0, 0.0))
    window = read_window(stack_of(frames), BAD, VIEW, 2, registration)
    assert window.starts == [(6, 4), (9, 1), (0, 4)]
    assert [c.shape[1:] for c in window.cubes] == [(16, 16), (17, 17), (2, 16)]
    for cube, frame, (y, x) in zip(window.cubes, frames, window.starts, strict=True):
        assert np.array_equal(cube, frame[~BAD, y : y + cube.shape[1], x : x + cube.shape[2]])


def test_without_a_motion_the_same_window_of_every_frame(frames):
    window = read_window(stack_of(frames), BAD, VIEW, 0, None)
    assert window.starts == [(8, 6)] * 3
    assert {c.shape for c in window.cubes} == {(2, 12, 12)}


def test_a_frame_that_does_not_reach_the_view_gives_an_empty_mask(frames):
    window = read_window(stack_of(frames), BAD, VIEW, 2, motion_of((0, 0), (0, 0), (-90.0, 0.0)))
    assert not window.masks[2].any()
    assert all(mask.all() for mask in window.masks[:2])


def test_a_pixel_counts_where_all_good_bands_were_measured(frames):
    frames[0][0, 10, 10] = np.nan
    frames[0][1, 12, 12] = np.nan  # a bad band
    frames[0][2, 13, 13] = np.inf
    window = read_window(stack_of(frames), BAD, VIEW, 0, None)
    assert np.argwhere(~window.masks[0]).tolist() == [[2, 4], [5, 7]]
    assert (window.cubes[0][:, ~window.masks[0]] == 0).all()


def test_bands_without_a_value_in_one_frame_are_silent(frames):
    frames[2][2] = np.nan
    frames[1][:] = np.nan  # a frame without any value says nothing about bands
    stack = stack_of(frames)
    assert silent_bands(stack, VIEW).tolist() == [False, False, True]

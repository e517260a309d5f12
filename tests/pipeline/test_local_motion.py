"""Frames that moved differently in every place: each method follows the local field, not the matrix alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View, translation
from hsimisr.metrics import evaluate
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.pipeline.frames import read_window

METHODS = ["mean", "drizzle", "back_projection", "tv", "lmmse"]


@pytest.fixture(scope="module")
def moved():
    """Four frames of 32 x 32 pixels, moved by up to half a pixel more in some places than in others."""
    return simulate(town((82, 82), bands=12, seed=3).cube, 2, 4, snr=30, motion="local", max_shift=1.2, seed=1)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_follows_the_local_field(moved, carry_out, method):
    everywhere = tuple(replace(frame, field=None) for frame in moved.registration.frames)
    psnr = []
    for known in (moved.registration, replace(moved.registration, frames=everywhere)):
        result = carry_out(moved.frames, options={"invert": {"method": method}}, registration=known).end.result
        psnr.append(evaluate(moved.truth, result.estimate.bands(), 2).psnr)
    assert psnr[0] > psnr[1]


def test_a_window_reaches_as_far_as_the_field_bends_the_view():
    """The field is largest in the middle of the view's upper side, so its corners do not tell."""
    field = np.zeros((2, 40, 40), np.float32)
    field[0, 10, 20] = -6
    registration = Registration((FrameMotion(np.eye(3)), FrameMotion(translation((1, 0)), field=field)))
    frames = FrameStack(tuple(Cube.from_array(np.ones((1, 40, 40))) for _ in range(2)))
    window = read_window(frames, np.zeros(1, bool), View(10, 30, 10, 30), 0, registration)
    assert window.starts == [(10, 10), (5, 10)]

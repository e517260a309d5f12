"""The derivative of warped frames as their content moves, and the sparse matrices behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import View, translation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion
from hsimisr.physics.warp import WarpOperator, warped

CPU = torch.device("cpu")
EPS = float(np.finfo(np.float32).eps)
SHAPE = (24, 26)
WIDTH = 2.2
"""Standard deviation, LR pixels, of the blobs that are seen: nothing of them reaches the edge of the canvas."""


def motion_of(kind):
    turn = np.array([[1.02, -0.03, 0], [0.03, 0.99, 0], [0, 0, 1]])
    if kind == "homography":
        turn[2] = [1e-3, -5e-4, 1]
    centre = (np.asarray(SHAPE) - 1) / 2
    matrix = translation((0.4, -0.3)) @ translation(centre) @ turn @ translation(-centre)
    field = None
    if kind == "local":
        y, x = np.indices(SHAPE)
        field = (0.4 * np.stack([np.sin(2 * np.pi * x / 26), np.cos(2 * np.pi * y / 24)])).astype(np.float32)
    return FrameMotion(matrix / matrix[2, 2], field=field)


def operator_of(motions, psf="mtf:0.29", scale=2, offsets=None):
    canvas = Canvas((0, 0), SHAPE, scale, View.whole(SHAPE))
    offsets = np.zeros((len(motions), 2), np.int64) if offsets is None else offsets
    return WarpOperator(canvas, Psf.parse(psf), motions, offsets, CPU)


def blobs(canvas):
    """Spectrum of two images of smooth blobs in the middle of the canvas."""
    rows, cols = ((np.arange(n) + 0.5) / canvas.scale - 0.5 for n in canvas.hr_shape)

    def blob(y, x):
        return np.exp(-((rows[:, None] - y) ** 2 + (cols[None, :] - x) ** 2) / (2 * WIDTH**2))

    images = np.stack([blob(11.2, 12.1), blob(12.5, 13.0) - 0.5 * blob(11.0, 14.2)])
    return canvas.to_spectrum(torch.from_numpy(images.astype(np.float32)))


@pytest.mark.parametrize("kind", ["affine", "homography", "local"])
@pytest.mark.parametrize("psf", ["box", "mtf:0.29"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_derivative_is_that_of_a_shift_in_the_frame(kind, psf, scale):
    """Against frames whose content moved on by a twentieth of a pixel either way, after everything else."""
    motion, step = motion_of(kind), 0.05
    operator = operator_of([motion], psf, scale)
    x = blobs(operator.canvas)
    slopes = operator.derivative(x)[0]
    for axis in range(2):
        ahead, behind = (
            operator_of(
                [replace(motion, matrix=translation(sign * step * np.eye(2)[axis]) @ motion.matrix)], psf, scale
            ).forward(x)[0]
            for sign in (1, -1)
        )
        difference = (ahead - behind) / (2 * step)
        # third derivatives of a Gaussian are below 1.4 / width^3; a cubic spline, whose knots are 1 / scale apart, has
        # slopes that are off by the third power of that over the fourth of the width
        curved = 1.5 * 1.4 / WIDTH**3 * step**2 / 6
        between_knots = 1.5 * 3 / WIDTH**4 / scale**3 / 24
        rounding = 100 * EPS / step
        assert (slopes[axis] - difference).abs().max() <= curved + between_knots + rounding
        assert difference.abs().max() > 10 * (curved + between_knots + rounding)


def test_one_frame_is_as_if_it_were_alone():
    """Frames do not see each other, and the order they come in is theirs."""
    motions = [FrameMotion(np.eye(3)), motion_of("affine"), motion_of("local")]
    together = operator_of(motions)
    x = blobs(together.canvas)
    for k, motion in enumerate(motions):
        alone = operator_of([motion])
        assert torch.equal(together.forward(x)[k], alone.forward(x)[0])
        assert torch.equal(together.derivative(x)[k], alone.derivative(x)[0])
        assert together.phases[k].shape == alone.phases[0].shape
        assert torch.equal(together.phases[k], alone.phases[0])


@pytest.mark.parametrize("kind", ["affine", "homography", "local"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_frame_that_stays_shows_of_a_moved_image_what_a_frame_that_moved_shows(kind, scale):
    """Splines go through the pixels, so that nothing is interpolated a second time."""
    moved, still = operator_of([motion_of(kind)], scale=scale), operator_of([FrameMotion(np.eye(3))], scale=scale)
    x = blobs(moved.canvas)
    assert (still.forward(warped(still.canvas, x, motion_of(kind))) - moved.forward(x)).abs().max() <= 100 * EPS


def test_whole_pixels_by_which_a_frame_was_moved_do_not_change_what_it_shows():
    """A frame that moved by (3.4, -2.3) and was moved back by (3, -2) is one that moved by (0.4, -0.3)."""
    whole = np.array([[3, -2]])
    near, far = motion_of("affine"), motion_of("affine")
    far = replace(far, matrix=translation(whole[0]) @ far.matrix)
    a, b = operator_of([near]), operator_of([far], offsets=whole)
    x = blobs(a.canvas)
    # places are computed in float64 and rounded to float32 fractions of a pixel
    assert (a.forward(x) - b.forward(x)).abs().max() <= 100 * EPS
    assert b.shifts == pytest.approx(a.shifts, abs=1e-9)


@pytest.mark.parametrize("kind", ["affine", "homography", "local"])
def test_frames_stand_for_the_shift_of_what_their_middle_shows(kind):
    motion, middle = motion_of(kind), (np.asarray(SHAPE) - 1) / 2
    operator = operator_of([motion])
    ground = middle - operator.shifts[0]
    assert forward_motion(motion, ground) == pytest.approx(middle, abs=1e-6)  # fields are kept in float32

"""The simulator and the solver's operator were written apart; of one smooth scene they must see the same frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import canvas_offset
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.simulator import BEND, SMOOTH, simulate
from hsimisr.physics.warp import WarpOperator

MARGIN = 4  # LR pixels
BLOBS, WIDTH = 12, 3.0  # Gaussians and their standard deviation in HR samples


def smooth_blobs(side):
    """Gaussian blobs away from the edges: nothing to wrap around, little beyond 0.2 cycles a sample."""
    rng = np.random.default_rng(0)
    y, x = np.indices((side, side))
    centres = rng.uniform(0.35 * side, 0.65 * side, (BLOBS, 2))
    return sum(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * WIDTH**2)) for cy, cx in centres)[None]


def spline_error(degree):
    """Largest error of a spline through the blobs' samples: their spectrum times the error of each frequency."""
    frequency = np.linspace(-0.5, 0.5, 2001)
    weight = np.sinc(frequency[:, None] + np.arange(-50, 51)) ** (degree + 1)
    images = 2 * (1 - weight[:, 50] / weight.sum(1))
    spectrum = np.sqrt(2 * np.pi) * WIDTH * np.exp(-2 * (np.pi * WIDTH * frequency) ** 2)
    return 2 * BLOBS * np.mean(spectrum * images)


SHIFTS = [("shift", scale, psf) for scale in (2, 3, 4) for psf in ("box", "mtf:0.29", "gauss:1.0", "bicubic")]
WARPS = [(motion, scale, "mtf:0.29") for scale in (2, 3) for motion in ("affine", "homography", "local")]


@pytest.mark.parametrize(("motion", "scale", "psf"), SHIFTS + WARPS)
def test_both_render_the_same_frames(motion, scale, psf):
    scene = smooth_blobs(36 * scale + 50)
    simulation = simulate(scene, scale, 4, psf, math.inf, motion, max_shift=1.8, seed=3)
    h, w = simulation.frames.shape[2:]
    canvas = Canvas.around(View.whole((h, w)), MARGIN, scale)
    motions = list(simulation.registration.frames)
    offsets = np.stack([canvas_offset(m, canvas) for m in motions])
    cpu = torch.device("cpu")
    bound = spline_error(degree=5) + 30 * np.finfo(np.float32).eps * scene.max()
    if motion == "shift":
        operator = ShiftOperator(canvas, Psf.parse(psf), simulation.motions[:, :2, 2] - offsets, cpu)
    else:
        operator = WarpOperator(canvas, Psf.parse(psf), motions, offsets, cpu)
        bound += spline_error(degree=3)
    if motion == "local":
        # between the pixels of its grid the operator takes the field as linear: curvature / 8 along each axis
        bound += 2 * BEND * (math.pi / SMOOTH) ** 2 / 8 * np.abs(np.gradient(scene[0])).max() * scale

    image = _on_canvas(scene[0], simulation.origin_yx[0] - MARGIN * scale, canvas.hr_shape)
    rendered = operator.forward(canvas.to_spectrum(torch.from_numpy(image)[None]))[:, 0].numpy()
    for frame, seen, offset in zip(simulation.frames[:, 0], rendered, offsets, strict=True):
        # frame pixel q lies on canvas pixel q - offset + margin
        rows, columns = (np.arange(size) - move + MARGIN for size, move in zip((h, w), offset, strict=True))
        assert np.abs(seen[np.ix_(rows, columns)] - frame).max() < bound


def _on_canvas(scene, corner, shape):
    """The scene from sample `corner` on, zero where it ends."""
    padded = np.pad(scene, max(shape))
    low = corner + max(shape)
    return padded[low : low + shape[0], low : low + shape[1]].astype(np.float32)

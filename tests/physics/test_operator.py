"""Laws of the observation operator, over every PSF, motion model, scale, and canvases of odd and even size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsimisr.geometry import View, apply_motion, translation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion
from hsimisr.physics.warp import WarpOperator

CPU = torch.device("cpu")
EPS = float(np.finfo(np.float32).eps)
SCALES = [1, 2, 3, 4]
PSFS = ["box", "mtf:0.29", "gauss:1.0", "bicubic"]
SHAPES = [(10, 12), (9, 11), (9, 12)]
SHIFTS = np.array([[0.0, 0.0], [0.4, -0.3], [-0.5, 0.25]])
RANK = 2


def affine_motions():
    linear = np.eye(3)
    linear[:2, :2] += [[0.02, -0.03], [0.03, -0.01]]
    return [FrameMotion(np.eye(3)), FrameMotion(translation((0.4, -0.3)) @ linear)]


def local_motions(shape):
    rows, cols = np.indices(shape)
    bend = 0.4 * np.stack([np.sin(2 * np.pi * cols / shape[1]), np.cos(2 * np.pi * rows / shape[0])])
    return [FrameMotion(np.eye(3)), FrameMotion(translation((0.4, -0.3)), field=bend.astype(np.float32))]


def operator_of(motion, psf, scale, shape):
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    if motion == "shift":
        return ShiftOperator(canvas, Psf.parse(psf), SHIFTS, CPU)
    motions = affine_motions() if motion == "affine" else local_motions(shape)
    return WarpOperator(canvas, Psf.parse(psf), motions, np.zeros((len(motions), 2), np.int64), CPU)


every_operator = pytest.mark.parametrize(
    ("motion", "psf", "scale", "shape"), list(itertools.product(["shift", "affine", "local"], PSFS, SCALES, SHAPES))
)


def hr_images(canvas, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((RANK, *canvas.hr_shape)).astype(np.float32))


def smooth_images(canvas, top=0.12, seed=0):
    """Images without frequencies above `top` cycles per HR pixel along either axis."""
    fy, fx = canvas.frequencies
    low = (np.abs(fy) <= top * canvas.scale) & (np.abs(fx) <= top * canvas.scale)
    spectrum = canvas.to_spectrum(hr_images(canvas, seed)) * torch.from_numpy(low)
    return canvas.to_image(spectrum)


@every_operator
def test_the_adjoint_is_the_transpose(motion, psf, scale, shape):
    operator = operator_of(motion, psf, scale, shape)
    x = operator.canvas.to_spectrum(hr_images(operator.canvas))
    assert_transpose(operator, x)


@settings(max_examples=30, deadline=None)
@given(
    scale=st.integers(1, 4),
    shape=st.tuples(st.integers(4, 14), st.integers(4, 14)),
    shifts=st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=1, max_size=4),
    psf=st.sampled_from(PSFS),
)
def test_the_adjoint_is_the_transpose_for_any_shape_and_shift(scale, shape, shifts, psf):
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    operator = ShiftOperator(canvas, Psf.parse(psf), np.array(shifts), CPU)
    assert_transpose(operator, canvas.to_spectrum(hr_images(canvas)))


def assert_transpose(operator, spectrum):
    """<A x, y> = <x, A' y>, to 1e-5 of the product of the norms."""
    frames = operator.forward(spectrum)
    y = torch.from_numpy(np.random.default_rng(1).standard_normal(frames.shape).astype(np.float32))
    forward = (frames.double() * y).sum()
    backward = operator.canvas.dot(spectrum, operator.adjoint(y)).sum()
    assert abs(forward - backward) <= 1e-5 * frames.double().norm() * y.double().norm()


@every_operator
def test_the_adjoint_of_one_frame_is_that_of_frames_that_are_zero_but_for_it(motion, psf, scale, shape):
    operator = operator_of(motion, psf, scale, shape)
    frames = operator.forward(operator.canvas.to_spectrum(hr_images(operator.canvas)))
    for k, values in enumerate(frames):
        alone = torch.zeros_like(frames)
        alone[k] = values
        expected = operator.adjoint(alone)
        # sums with zeros in another order
        assert (operator.adjoint_of(k, values) - expected).abs().max() <= 10 * EPS * expected.abs().max()


@every_operator
def test_the_operator_is_linear(motion, psf, scale, shape):
    operator = operator_of(motion, psf, scale, shape)
    a, b = (operator.canvas.to_spectrum(hr_images(operator.canvas, seed)) for seed in (0, 1))
    together = operator.forward(2 * a - 3 * b)
    apart = 2 * operator.forward(a) - 3 * operator.forward(b)
    # rounding of transforms of n samples grows with log2 n; five terms of norm up to 3
    bound = 15 * EPS * np.log2(a.numel()) * max(operator.forward(a).abs().max(), operator.forward(b).abs().max())
    assert (together - apart).abs().max() <= bound


@every_operator
def test_a_constant_scene_gives_constant_frames(motion, psf, scale, shape):
    operator = operator_of(motion, psf, scale, shape)
    ones = operator.canvas.to_spectrum(torch.ones(1, *operator.canvas.hr_shape))
    # a warp adds 16 weights rounded in float32; the prefilter's 9 / (3 * 3) is 1
    assert (operator.forward(ones) - 1).abs().max() <= 32 * EPS


@pytest.mark.parametrize(("psf", "scale", "shape"), list(itertools.product(PSFS, SCALES, SHAPES)))
def test_shifts_agree_with_the_sum_over_all_frequencies(psf, scale, shape):
    """The value of the blurred, moved scene at each LR pixel centre, summed frequency by frequency."""
    operator = operator_of("shift", psf, scale, shape)
    canvas = operator.canvas
    images = hr_images(canvas)
    seen = operator.forward(canvas.to_spectrum(images)).numpy()
    height, width = canvas.hr_shape
    spectrum = np.fft.fft2(images.numpy().astype(float)) / (height * width)
    fy, fx = (np.fft.fftfreq(n) * scale for n in canvas.hr_shape)  # cycles per LR pixel
    blur = Psf.parse(psf).on_grid(fy[:, None], fx[None, :])
    blur[np.abs(fy) == scale / 2] = 0
    blur[:, np.abs(fx) == scale / 2] = 0
    first = 0.5 / scale - 0.5  # LR coordinate of HR pixel 0, where the transform has its origin
    for frame, (dy, dx) in zip(seen, SHIFTS, strict=True):
        rows = np.exp(2j * np.pi * np.outer(np.arange(shape[0]) - dy - first, fy))
        cols = np.exp(2j * np.pi * np.outer(np.arange(shape[1]) - dx - first, fx))
        expected = np.einsum("my,ryx,nx->rmn", rows, spectrum * blur, cols).real
        assert np.abs(frame - expected).max() <= 4 * EPS * np.log2(height * width) * np.abs(expected).max()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_pixel_is_a_roll_of_the_frame(scale, shape):
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    operator = ShiftOperator(canvas, Psf.parse("mtf:0.29"), np.array([[0.3, 0.1], [2.3, -2.9]]), CPU)
    plain, moved = operator.forward(canvas.to_spectrum(hr_images(canvas)))
    bound = 4 * EPS * np.log2(canvas.hr_shape[0] * canvas.hr_shape[1]) * plain.abs().max()
    assert (moved - plain.roll((2, -3), (-2, -1))).abs().max() <= bound


@pytest.mark.parametrize(("psf", "scale", "shape"), list(itertools.product(PSFS, SCALES, SHAPES)))
def test_derivative_agrees_with_finite_differences(psf, scale, shape):
    operator = operator_of("shift", psf, scale, shape)
    canvas = operator.canvas
    x = canvas.to_spectrum(smooth_images(canvas))
    step = 0.05
    slopes = operator.derivative(x)
    for axis in range(2):
        ahead, behind = (
            ShiftOperator(canvas, operator.psf, SHIFTS + sign * step * np.eye(2)[axis], CPU).forward(x)
            for sign in (1, -1)
        )
        difference = (ahead - behind) / (2 * step)
        # a central difference is off by step^2 / 6 of the third derivative, at most the sum over the waves
        waves = x.abs() * torch.from_numpy((2 * np.pi * np.abs(canvas.frequencies[axis])) ** 3 * canvas.half_weight)
        third = waves.sum((1, 2, 3)).max() / (canvas.hr_shape[0] * canvas.hr_shape[1])
        rounding = 4 * EPS * np.log2(x.numel()) * ahead.abs().max() / step
        assert (slopes[:, axis] - difference).abs().max() <= step**2 / 6 * third + rounding


@pytest.mark.parametrize(("psf", "scale"), list(itertools.product(PSFS, SCALES)))
def test_a_warp_by_a_shift_is_the_shift(psf, scale):
    """Both agree up to the error of cubic splines, known for each frequency of a band-limited image."""
    canvas = Canvas((0, 0), (12, 14), scale, View.whole((12, 14)))
    images = smooth_images(canvas)
    x = canvas.to_spectrum(images)
    motions = [FrameMotion(translation(shift)) for shift in SHIFTS]
    warped = WarpOperator(canvas, Psf.parse(psf), motions, np.zeros((3, 2), np.int64), CPU).forward(x)
    shifted = ShiftOperator(canvas, Psf.parse(psf), SHIFTS, CPU).forward(x)
    fy, fx = (f / scale for f in canvas.frequencies)
    # a cardinal cubic spline carries frequency f + k with weight sinc^4(f + k) / sum: at most twice what goes to k != 0
    lost = sum(2 * (1 - np.sinc(f) ** 4 / (np.sinc(f[..., None] + np.arange(-20, 21)) ** 4).sum(-1)) for f in (fy, fx))
    waves = x.abs().numpy() * canvas.half_weight / (canvas.hr_shape[0] * canvas.hr_shape[1])
    bound = (waves * lost).sum((1, 2, 3)).max() + 8 * EPS * np.log2(x.numel()) * float(images.abs().max())
    assert (warped - shifted).abs().max() <= bound


@pytest.mark.parametrize("motion", ["shift", "affine"])
def test_content_moves_the_way_the_matrix_says(motion):
    """A blob of 1.8 px at reference point p appears at M p."""
    scale, shape, point = 2, (24, 24), np.array([11.3, 12.2])
    operator = operator_of(motion, "gauss:1.0", scale, shape)
    matrices = [translation(s) for s in SHIFTS] if motion == "shift" else [m.matrix for m in affine_motions()]
    rows, cols = (((np.arange(n * scale) + 0.5) / scale - 0.5) for n in shape)
    blob = np.exp(-((rows[:, None] - point[0]) ** 2 + (cols[None, :] - point[1]) ** 2) / (2 * 1.8**2))
    x = operator.canvas.to_spectrum(torch.from_numpy(blob.astype(np.float32))[None])
    y, x_ = np.indices(shape)
    for frame, matrix in zip(operator.forward(x)[:, 0].numpy().astype(float), matrices, strict=True):
        centroid = np.array([(frame * y).sum(), (frame * x_).sum()]) / frame.sum()
        # nothing of the blob reaches the edge, 6 sigma away; float32 rounds moments over levers of 24 px
        assert centroid == pytest.approx(apply_motion(matrix, point), abs=24 * 10 * EPS)


def test_local_motion_is_inverted():
    """The fixed point contracts by the field's slope, at most 0.4 * 2 pi / 30 a round; the field is read in float32."""
    motion = local_motions((30, 34))[1]
    points = np.random.default_rng(0).uniform(3, 26, (50, 2))
    reference = invert_motion(motion, points)
    weights = [bilinear(field, reference) for field in motion.field]
    assert apply_motion(motion.matrix, reference) + np.stack(weights, -1) == pytest.approx(points, abs=0.4 * EPS)


def bilinear(image, points):
    out = []
    for y, x in points:
        i, j = int(y), int(x)
        t, u = y - i, x - j
        top = image[i, j] * (1 - u) + image[i, j + 1] * u
        out.append(top * (1 - t) + (image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u) * t)
    return np.array(out)

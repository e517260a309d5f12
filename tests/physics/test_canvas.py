"""The canvas holds an image by its spectrum in alias groups; nothing may get lost on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.geometry import View, hr_to_lr
from hsimisr.physics.canvas import Canvas

SCALES = [1, 2, 3, 4]
SHAPES = [(8, 10), (9, 7), (8, 7), (5, 6), (1, 4)]
EXACT = 1e-12
"""Double precision after transforms of fewer than 2000 samples of order 1: eps log2(n) of their sum, with room."""


def canvas_of(scale, shape):
    return Canvas((0, 0), shape, scale, View.whole(shape))


def images(canvas, count=2):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.standard_normal((count, *canvas.hr_shape)))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_and_back(scale, shape):
    canvas = canvas_of(scale, shape)
    x = images(canvas)
    assert torch.allclose(canvas.to_image(canvas.to_spectrum(x)), x, rtol=0, atol=EXACT)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_entries_are_fourier_sums_at_their_frequencies(scale, shape):
    canvas = canvas_of(scale, shape)
    x = images(canvas, 1)[0]
    spectrum = canvas.to_spectrum(x).numpy()
    fy, fx = canvas.frequencies
    rows, cols = np.indices(canvas.hr_shape)
    rng = np.random.default_rng(1)
    for _ in range(10):
        entry = tuple(rng.integers(0, n) for n in spectrum.shape)
        wave = np.exp(-2j * np.pi * (fy[entry] * rows + fx[entry] * cols) / scale)
        assert spectrum[entry] == pytest.approx((x.numpy() * wave).sum(), abs=1e3 * EXACT)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_entries_of_a_group_fold_onto_one_lr_frequency(scale, shape):
    fy, fx = canvas_of(scale, shape).frequencies
    for f in (fy, fx):
        apart = f - f[:1]
        assert apart == pytest.approx(np.rint(apart), abs=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_dot_is_the_inner_product_of_the_images(scale, shape):
    canvas = canvas_of(scale, shape)
    a, b = images(canvas), images(canvas).flip(0)
    expected = (a * b).sum((-2, -1))
    assert torch.allclose(canvas.dot(canvas.to_spectrum(a), canvas.to_spectrum(b)), expected, rtol=0, atol=1e3 * EXACT)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_hr_nyquist_frequency_is_unpaired(scale, shape):
    """In the full plane: one row where the height is even, one column where the width is."""
    canvas = canvas_of(scale, shape)
    height, width = canvas.hr_shape
    paired_rows, paired_cols = height - (height % 2 == 0), width - (width % 2 == 0)
    plane = (canvas.unpaired * canvas.half_weight).sum()
    assert plane == height * width - paired_rows * paired_cols


@pytest.mark.parametrize("scale", SCALES)
def test_the_view_lies_where_the_geometry_says(scale):
    view = View(7, 18, 3, 16)
    canvas = Canvas.around(view, 4, scale)
    for part, origin, start, stop in zip(canvas.view_slices, canvas.origin, (7, 3), (18, 16), strict=True):
        reference = hr_to_lr(np.arange(part.start, part.stop), scale) + origin
        assert reference == pytest.approx(hr_to_lr(np.arange((stop - start) * scale), scale) + start)


def test_the_margin_surrounds_the_view():
    view = View(7, 18, 3, 16)
    canvas = Canvas.around(view, 4, 2)
    for origin, size, start, stop in zip(canvas.origin, canvas.shape, (7, 3), (18, 16), strict=True):
        assert origin == start - 4
        assert origin + size >= stop + 4

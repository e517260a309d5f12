"""Random numbers that belong to the ground, and schedules of noise levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.diffusion.noise import Noise
from hsimisr.geometry import View
from hsimisr.physics.canvas import Canvas


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_canvases_draw_the_same_where_they_overlap(scale):
    """One of them begins left of and above the reference's first pixel; several calls go in step."""
    one, other = Canvas.around(View(0, 20, 0, 17), 4, scale), Canvas.around(View(9, 25, 5, 30), 4, scale)
    shared = View(5, 24, 1, 21)
    drawn = []
    for canvas in (one, other):
        noise = Noise.of(canvas, 3)
        images = noise.white(torch.empty(2, *canvas.hr_shape)), noise.white(torch.empty(3, 2, *canvas.shape))
        y, x = (o - c for o, c in zip(shared.origin, canvas.origin, strict=True))
        drawn.append(
            [
                image[..., y * p : (y + shared.shape[0]) * p, x * p : (x + shared.shape[1]) * p]
                for image, p in zip(images, (scale, 1), strict=True)
            ]
        )
    for first, second in zip(*drawn, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert drawn[0][0].shape[-2:] == (19 * scale, 20 * scale)


def test_numbers_are_white_and_differ_by_call_image_and_seed():
    canvas = Canvas.around(View(0, 60, 0, 60), 4, 2)
    noise = Noise.of(canvas, 0)
    first, second = (noise.white(torch.empty(2, *canvas.hr_shape)) for _ in range(2))
    third = Noise.of(canvas, 1).white(torch.empty(2, *canvas.hr_shape))
    values = torch.cat([first, second, third]).flatten(1).double().numpy()
    allowed = 5 / np.sqrt(values.shape[1])
    np.testing.assert_allclose(np.cov(values), np.eye(6), atol=allowed * np.sqrt(2))
    np.testing.assert_allclose(values.mean(1), 0, atol=allowed)
    spectrum = np.abs(np.fft.fft2(first[0].numpy())) ** 2 / first[0].numel()
    blocks = spectrum[: 128 // 8 * 8, : 128 // 8 * 8].reshape(16, 8, 16, 8).mean((1, 3))
    np.testing.assert_allclose(blocks, 1, atol=0.75)


def test_each_second_sample_is_the_opposite():
    canvas = Canvas.around(View(0, 16, 0, 16), 4, 2)
    first, second, third = (Noise.of(canvas, 0, n).white(torch.empty(canvas.hr_shape)) for n in range(3))
    torch.testing.assert_close(first, -second, rtol=0, atol=0)
    assert not torch.allclose(first, third, atol=0.1)

"""Means over blocks, against plain formulas and against how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.heldout.blocks import BLOCK, block_sums, clearly_positive, mean_over_blocks
from hsimisr.physics.canvas import Canvas


def test_sums_are_those_of_the_blocks_of_the_view():
    canvas = Canvas.around(View(3, 23, 5, 14), 4, 2)
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((2, *canvas.shape)))
    found = block_sums(images, canvas)
    view = images[:, 4:24, 4:13].numpy()  # the canvas begins 4 pixels before the view
    assert found.shape == (2, 3, 2)
    for y in range(3):
        for x in range(2):
            block = view[:, y * BLOCK : (y + 1) * BLOCK, x * BLOCK : (x + 1) * BLOCK]
            assert found[:, y, x] == pytest.approx(block.sum((1, 2)))


def test_of_equal_blocks_it_is_the_mean_and_its_standard_error():
    sums = np.random.default_rng(1).standard_normal((5, 4))
    mean, stderr = mean_over_blocks(sums, np.full((5, 4), 64.0))
    assert mean == pytest.approx(sums.mean() / 64)
    assert stderr == pytest.approx(sums.std(ddof=1) / 64 / np.sqrt(20))


def test_blocks_without_data_do_not_count():
    rng = np.random.default_rng(2)
    total, count = rng.standard_normal(9), rng.uniform(1, 9, 9)
    empty = np.zeros(4)
    padded = mean_over_blocks(np.r_[total, empty], np.r_[count, empty])
    assert padded == pytest.approx(mean_over_blocks(total, count))


def test_one_block_tells_a_mean_but_no_error_and_none_tells_nothing():
    mean, stderr = mean_over_blocks(np.array([6.0, 0.0]), np.array([2.0, 0.0]))
    assert (mean, stderr) == (3.0, np.inf)
    mean, stderr = mean_over_blocks(np.zeros(3), np.zeros(3))
    assert np.isnan(mean)
    assert stderr == np.inf
    assert not clearly_positive(np.array([6.0]), np.array([2.0]))


def test_the_error_holds_where_pixels_hang_together():
    """Images of patches: the error over pixels alone would be three times too small."""
    rng, canvas = np.random.default_rng(3), Canvas((0, 0), (96, 96), 1, View.whole((96, 96)))
    means, errors = [], []
    for _ in range(100):
        coarse = np.kron(rng.standard_normal((33, 33)), np.ones((3, 3)))
        y, x = rng.integers(0, 3, 2)
        image = torch.from_numpy(coarse[None, y : y + 96, x : x + 96])
        mean, stderr = mean_over_blocks(block_sums(image, canvas)[0], np.full((12, 12), 64.0))
        means.append(mean)
        errors.append(stderr)
    # what crosses from block to block is a fifth of the variance; 100 draws tell a deviation within 7 %
    assert np.std(means) == pytest.approx(np.mean(errors), rel=0.3)


@pytest.mark.parametrize("blocks", [4, 16, 100])
@pytest.mark.parametrize("chances", [1.0, 4.0])
def test_nothing_passes_for_something_as_seldom_as_two_standard_errors_promise(blocks, chances):
    rng, draws = np.random.default_rng(4), 4000
    count = np.ones(blocks)
    wrong = sum(clearly_positive(rng.standard_normal(blocks), count, chances) for _ in range(draws))
    expected = 0.02275 / chances
    assert wrong / draws == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))

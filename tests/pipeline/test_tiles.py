"""Tiles cover a view, and their weights add up to one everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsimisr.geometry import View
from hsimisr.pipeline.tiles import OVERLAP, SMALLEST, blend_weight, tiles_of

views = st.builds(lambda y, x, h, w: View(y, y + h, x, x + w), *(st.integers(0, 9),) * 2, *(st.integers(1, 90),) * 2)


@settings(deadline=None)
@given(views, st.integers(SMALLEST, 64))
def test_tiles_fit_and_cover(view, size):
    covered = np.zeros(view.shape, int)
    for tile in tiles_of(view, size):
        assert max(tile.shape) <= size
        assert tile.y0 >= view.y0
        assert tile.x0 >= view.x0
        covered[tile.y0 - view.y0 : tile.y1 - view.y0, tile.x0 - view.x0 : tile.x1 - view.x0] += 1
    assert covered.shape == view.shape
    assert covered.min() >= 1


@settings(deadline=None)
@given(views, st.integers(SMALLEST, 64), st.integers(1, 4))
def test_weights_add_up_to_one(view, size, scale):
    total = np.zeros((view.shape[0] * scale, view.shape[1] * scale))
    for tile in tiles_of(view, size):
        y, x = (tile.y0 - view.y0) * scale, (tile.x0 - view.x0) * scale
        weight = blend_weight(tile, view, scale)
        assert weight.min() > 0
        total[y : y + weight.shape[0], x : x + weight.shape[1]] += weight
    assert total == pytest.approx(np.ones_like(total), abs=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_weights_fade_evenly_over_the_overlap(scale):
    view = View(0, 60, 0, 20)
    first = tiles_of(view, 33)[0]
    column = blend_weight(first, view, scale)[:, 0]
    assert np.abs(np.diff(column)).max() == pytest.approx(1 / (OVERLAP * scale), rel=1e-5)
    assert column[0] == 1  # nothing to meet at the view's edge


def test_a_view_that_fits_is_one_tile():
    view = View(3, 35, 4, 20)
    assert tiles_of(view, 32) == [view]
    assert (blend_weight(view, view, 2) == 1).all()

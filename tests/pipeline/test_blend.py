"""Parts of a view blended on their own are the parts of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import Grid, View
from hsimisr.physics.types import Estimate
from hsimisr.pipeline.blend import blend
from hsimisr.pipeline.tiles import tiles_of

VIEW = View(2, 62, 5, 55)


@pytest.fixture
def tiles(finished):
    """Tiles that disagree where they overlap, the first without data in its upper rows."""
    random, subspace = np.random.default_rng(0), finished.scene.subspace

    def tile(view):
        grid = Grid.of_view(view, 2)
        images = random.normal(size=(2, subspace.rank, *grid.shape)).astype(np.float32)
        return Estimate(
            mean=images[0],
            variance=images[1] ** 2,
            subspace=subspace,
            grid=grid,
            residual=random.normal(size=(subspace.bands, *view.shape)).astype(np.float32),
            residual_variance=random.random(subspace.bands),
            determined=random.random(view.shape, dtype=np.float32),
        )

    found = {view: tile(view) for view in tiles_of(VIEW, 24)}
    first = next(iter(found))
    measured = np.ones(first.shape, bool)
    measured[:4] = False
    return {**found, first: Estimate(**{**vars(found[first]), "measured": measured})}


def test_an_area_is_cut_out_of_the_whole_to_the_last_bit(tiles):
    """It adds up the same tiles in the same order."""
    whole, area = blend(tiles.items(), VIEW, VIEW), View(3, 40, 20, 33)
    part = blend(tiles.items(), VIEW, area)
    assert part.grid == Grid.of_view(area, 2)
    np.testing.assert_array_equal(part.mean, whole.mean[:, 2:76, 30:56])
    np.testing.assert_array_equal(part.variance, whole.variance[:, 2:76, 30:56])
    np.testing.assert_array_equal(part.residual, whole.residual[:, 1:38, 15:28])
    np.testing.assert_array_equal(part.determined, whole.determined[1:38, 15:28])


def test_one_tile_comes_back_as_it_is(tiles):
    tile, estimate = next(iter(tiles.items()))
    back = blend([(tile, estimate)], tile, tile)
    np.testing.assert_array_equal(back.mean, estimate.mean)
    np.testing.assert_array_equal(back.measured, estimate.measured)
    np.testing.assert_array_equal(back.determined, estimate.determined)


def test_what_any_tile_measured_is_measured(tiles):
    """Where tiles overlap the neighbour has seen it; an area without gaps says so."""
    whole = blend(tiles.items(), VIEW, VIEW)
    assert not whole.measured[:4, :15].any()
    assert whole.measured[:4, 15:].all()
    assert whole.measured[4:].all()
    assert blend(tiles.items(), VIEW, View(30, 40, 20, 30)).measured is None


def test_the_spread_outside_the_subspace_is_that_of_the_average_tile(tiles):
    spread = np.mean([tile.residual_variance for tile in tiles.values()], axis=0)
    np.testing.assert_allclose(blend(tiles.items(), VIEW, VIEW).residual_variance, spread, rtol=1e-12)

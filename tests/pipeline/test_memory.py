"""What is planned with the memory there is, and what is said when there is not enough."""

from __future__ import annotations

import pytest

from hsimisr.errors import MemoryLimitError
from hsimisr.geometry import View
from hsimisr.pipeline.memory import LARGEST, SHARE, tile_bytes, tile_side
from hsimisr.pipeline.tiles import SMALLEST

VIEW = View(0, 400, 0, 300)
SIZES = {"frames": 8, "bands": 100, "rank": 8, "scale": 2}


def test_plenty_of_memory_takes_the_largest_tile_and_small_views_one():
    assert tile_side(VIEW, **SIZES, free=10**13) == LARGEST
    assert tile_side(View(0, 30, 0, 40), **SIZES, free=10**13) == 40


@pytest.mark.parametrize("free", [10**8, 3 * 10**8, 10**9])
def test_tiles_fit_into_their_share(free):
    side = tile_side(VIEW, **SIZES, free=free)
    assert tile_bytes(side, **SIZES) <= SHARE * free
    assert side >= SMALLEST


@pytest.mark.parametrize("more", [{"frames": 16}, {"bands": 200}, {"rank": 16}, {"scale": 4}, {"side": 100}])
def test_more_of_anything_needs_more(more):
    given = {"side": 50, **SIZES}
    assert tile_bytes(**{**given, **more}) > tile_bytes(**given)


def test_too_little_is_said_with_sizes_and_the_way_out():
    with pytest.raises(MemoryLimitError, match=r"8 frames x 100 bands at scale 2 needs about .* GiB.*fewer frames"):
        tile_side(VIEW, **SIZES, free=10**6)

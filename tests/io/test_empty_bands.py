"""Bands without data, also in images that are only sampled."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from hsimisr.io.empty_bands import empty_bands


@pytest.mark.parametrize("size", [20, 400])
@pytest.mark.parametrize(
    ("nodata", "value"), [(None, 0), (None, np.nan), (-1.0, -1), (-1.0, 0), (float("nan"), np.nan)]
)
def test_bands_of_one_meaningless_value_are_empty(size, nodata, value):
    cube = np.ones((4, size, size), np.float32)
    cube[2] = value
    assert empty_bands(da.from_array(cube, chunks=(2, 100, 100)), nodata).tolist() == [False, False, True, False]


def test_one_value_makes_a_band_of_a_small_image():
    cube = np.zeros((2, 20, 20))
    cube[0, 19, 19] = 1e-30
    assert empty_bands(da.from_array(cube), None).tolist() == [False, True]


def test_an_image_that_is_empty_at_the_samples_is_searched():
    cube = np.zeros((3, 700, 700))
    cube[:2, 690:, 5] = 1
    assert empty_bands(da.from_array(cube, chunks=(3, 100, 100)), None).tolist() == [False, False, True]


def test_only_a_sample_of_a_large_image_is_read():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((2, 100, 100))

    cube = da.map_blocks(block, chunks=((2,), (100,) * 30, (100,) * 30), dtype=float, meta=np.empty((0, 0, 0)))
    assert not empty_bands(cube, None).any()
    assert len(read) <= 20  # of 900

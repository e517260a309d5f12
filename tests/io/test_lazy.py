"""What is asked of a lazy array is what is read of its file, whatever the order of its axes."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsimisr.io.lazy import MappedArray, by_band, lazy, turned

SHAPE = (6, 7, 8)
VALUES = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


class Recorded:
    """An array in memory that notes how much of it was read."""

    ndim = 3

    def __init__(self) -> None:
        self.shape, self.dtype = SHAPE, VALUES.dtype
        self.read: list[int] = []

    def __getitem__(self, key: Any) -> np.ndarray:
        part = VALUES[key]
        self.read.append(part.size)
        return part


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize(
    "key",
    [np.s_[2], np.s_[2:3], np.s_[1, 2:5, 3], np.s_[:, 1:4:2, ::3], np.s_[..., 4], np.s_[0, 1, 2], np.s_[[1, 3], :, 2]],
)
def test_a_part_is_that_of_the_turned_array_and_no_more_is_read(order: tuple[int, ...], key: Any) -> None:
    file = Recorded()
    array = turned(lazy(file), order)
    file.read.clear()
    wanted = VALUES.transpose(order)[key]
    np.testing.assert_array_equal(array[key].compute(scheduler="sync"), wanted)
    if not any(isinstance(part, list) for part in np.atleast_1d(np.array(key, object))):
        assert sum(file.read) == wanted.size


def test_a_turned_array_crosses_to_another_process() -> None:
    array = pickle.loads(pickle.dumps(turned(lazy(Recorded()), (2, 0, 1))))
    np.testing.assert_array_equal(array.compute(scheduler="sync"), VALUES.transpose(2, 0, 1))


def test_an_array_that_was_changed_since_is_turned_as_well() -> None:
    array = turned(lazy(Recorded())[1:], (2, 0, 1))
    np.testing.assert_array_equal(array.compute(scheduler="sync"), VALUES[1:].transpose(2, 0, 1))


def test_a_plain_file_comes_by_the_band_in_any_order_and_other_arrays_as_they_are(tmp_path: Path) -> None:
    VALUES.tofile(tmp_path / "cube.img")
    array = turned(lazy(MappedArray(tmp_path / "cube.img", VALUES.dtype, SHAPE)), (2, 0, 1))
    bands = by_band(array)
    assert bands.chunks == ((1,) * 8, (6,), (7,))
    np.testing.assert_array_equal(bands.compute(), VALUES.transpose(2, 0, 1))
    for other in (lazy(Recorded()), array[1:]):
        assert by_band(other) is other

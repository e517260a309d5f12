"""Which axis is the spectrum."""

from __future__ import annotations

import pytest

from hsimisr.io.axes import find_axes


@pytest.mark.parametrize(
    ("shape", "habit", "axes"),
    [
        ((100, 100, 205), "yxb", "yxb"),
        ((83, 86, 204), "yxb", "yxb"),
        ((72, 58, 128), "yxb", "yxb"),
        ((64, 128, 224), "yxb", "yxb"),
        ((205, 100, 100), "yxb", "byx"),
        ((5, 512, 640), "yxb", "byx"),
        ((512, 640, 5), "byx", "yxb"),
        ((224, 64, 128), "byx", "byx"),
        ((31, 580, 43), "byx", "ybx"),
        ((1, 50, 60), "yxb", "byx"),
        ((50, 60, 1), "byx", "yxb"),
        ((31, 31, 31), "yxb", "yxb"),
        ((31, 31, 31), "byx", "byx"),
    ],
)
def test_without_wavelengths_the_shape_and_the_formats_habit_decide(shape, habit, axes):
    assert find_axes(shape, None, habit)[0] == axes


@pytest.mark.parametrize(
    ("shape", "bands", "axes"),
    [
        ((31, 200, 31), 200, "ybx"),
        ((5, 512, 640), 640, "yxb"),
        ((100, 100, 31), 100, "byx"),  # two axes fit: the habit decides
        ((100, 100, 31), 77, "yxb"),  # none fits: as if not known
    ],
)
def test_the_number_of_wavelengths_decides_first(shape, bands, axes):
    assert find_axes(shape, bands, "byx")[0] == axes


def test_the_note_says_what_was_taken_and_why():
    assert find_axes((5, 512, 640), None, "yxb")[1] == (
        "axes taken as (band, y, x): the other two sides are most alike"
    )
    assert find_axes((5, 512, 640), 5, "yxb")[1] == "axes (band, y, x): 5 bands are described"

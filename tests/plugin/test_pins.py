"""Pins: a click moves the current one, others are collected, and each keeps its number and colour."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hsimisr.pin_marks import CROSS, PinMarks, number_strokes
from napari_hsimisr.pins import Pins


@pytest.fixture
def pins() -> Pins:
    pins = Pins()
    pins.move((1, 1))
    pins.collect((2, 2))
    pins.collect((3, 3))
    return pins


def test_a_move_takes_the_current_pin_along(pins: Pins) -> None:
    pins.move((9, 9))
    assert [(pin.number, pin.world) for pin in pins.all] == [(1, (1, 1)), (2, (2, 2)), (3, (9, 9))]
    pins.choose(1)
    pins.move((5, 5))
    assert [pin.world for pin in pins.all] == [(5, 5), (2, 2), (9, 9)]
    assert len({pin.colour for pin in pins.all}) == 3


def test_removed_pins_leave_the_others_as_they_are(pins: Pins) -> None:
    colours = {pin.number: pin.colour for pin in pins.all}
    pins.remove(2)
    assert pins.current is not None
    assert pins.current.number == 3
    pins.remove(3)
    assert pins.current.number == 1
    assert pins.current.colour == colours[1]
    pins.collect((4, 4))
    assert [pin.name for pin in pins.all] == ["pin 1", "pin 2"]  # a free number is used again
    pins.clear()
    assert pins.current is None
    pins.move((0, 0))
    assert [pin.number for pin in pins.all] == [1]


def test_changes_are_told_and_nothing_else(pins: Pins) -> None:
    told: list[int] = []
    pins.changed.connect(lambda: told.append(len(pins.all)))
    pins.choose(3)  # is current
    pins.choose(7)
    pins.remove(7)
    assert told == []
    pins.remove(1)
    pins.clear()
    pins.clear()
    assert told == [2, 0]


def test_the_session_shares_the_current_pin(desk) -> None:
    told: list[object] = []
    desk.session.pin_changed.connect(lambda: told.append(desk.session.pin))
    desk.session.set_pin((1.0, 2.0))
    desk.session.pins.collect((3.0, 4.0))
    desk.session.pins.clear()
    assert told == [(1.0, 2.0), (3.0, 4.0), None]


def test_marks_stand_at_their_pins_in_their_colours(new_desk, pins: Pins) -> None:
    desk = new_desk((1, 2.5, 2.5))
    marks, reference = PinMarks(desk.viewer), desk.session.reference
    marks.show(pins.all[:1], reference)
    layer = desk.viewer.layers["spectrum"]
    assert layer.data.shape == (4, 2, 2)
    np.testing.assert_allclose(layer.data[:, 0].mean(0), (1, 1))
    np.testing.assert_allclose(layer.data[0, 0], (1 - 2.5, 1))
    marks.show(pins.all, reference)
    sizes = [len(CROSS) + len(number_strokes(number)) for number in (1, 2, 3)]
    assert len(layer.data) == sum(sizes)
    assert len(np.unique(layer.edge_color, axis=0)) == 3
    start = sizes[0]
    np.testing.assert_allclose(layer.data[start : start + 4, 0].mean(0), (2, 2))
    desk.viewer.add_image(np.ones((2, 5, 5)))
    marks.raise_()
    assert desk.viewer.layers[-1] is layer
    marks.show((), reference)
    assert layer not in desk.viewer.layers


@pytest.mark.parametrize("digit", range(10))
def test_every_digit_looks_different(digit: int) -> None:
    others = [number_strokes(other).tolist() for other in range(10) if other != digit]
    assert number_strokes(digit).tolist() not in others
    assert len(number_strokes(10 + digit)) == len(number_strokes(1)) + len(number_strokes(digit))

"""Frames read at reference pixels: exact for band-limited waves, NaN where nothing was measured, parts like wholes."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import View, translation
from hsimisr.physics.sampling import places_in_frame, sample, window_around
from hsimisr.physics.types import FrameMotion

SHAPE = (40, 44)
PERIOD = 11.0  # pixels
REACH_OF_EDGE = 9


def wave(shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    y, x = np.indices(SHAPE)
    phase = 2 * np.pi * ((y - shift[0]) + 2 * (x - shift[1])) / (3 * PERIOD)
    return np.cos(phase).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.5, -0.5), (1.25, -2.75)])
def test_a_shifted_wave_comes_back_onto_the_reference(shift) -> None:
    """A cubic spline is off by (2 pi f)^4 / 720 or so: 4e-5 at the wave's 2 / 33 cycles a pixel; ten times that here.

    Away from the frame's edge, where the mirrored wave has a kink.
    """
    view = View(REACH_OF_EDGE, SHAPE[0] - REACH_OF_EDGE, REACH_OF_EDGE, SHAPE[1] - REACH_OF_EDGE)
    places = places_in_frame(FrameMotion(translation(shift)), view)
    expected = wave()[view.y0 : view.y1, view.x0 : view.x1]
    np.testing.assert_allclose(sample(wave(shift), places), expected, atol=4e-4)


def test_whole_pixels_are_moved_and_not_touched() -> None:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    places = places_in_frame(FrameMotion(translation((3, -2))), View(2, 20, 5, 30))
    np.testing.assert_allclose(sample(image, places), image[5:23, 3:28], atol=1e-6)


def test_a_local_field_is_followed() -> None:
    field = np.zeros((2, *SHAPE), np.float32)
    field[0, :, 20:] = 2.0
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    out = sample(image, places_in_frame(FrameMotion(np.eye(3), field=field), View(10, 12, 18, 22)))
    np.testing.assert_allclose(out[:, :2], image[10:12, 18:20], atol=1e-6)
    np.testing.assert_allclose(out[:, 2:], image[12:14, 20:22], atol=1e-6)


def test_outside_the_frame_nothing_is_claimed() -> None:
    out = sample(wave(), places_in_frame(FrameMotion(translation((0.5, -1.5))), View(0, 40, 0, 44)))
    seen = np.isfinite(out)
    assert seen[:-1, 2:].all()
    assert not seen[-1].any()
    assert not seen[:, :2].any()


def test_a_missing_pixel_takes_its_neighbours_along_only_where_they_need_it() -> None:
    image = wave()
    image[10, 12] = np.nan
    still = sample(image, places_in_frame(FrameMotion(np.eye(3)), View(0, 40, 0, 44)))
    assert np.argwhere(np.isnan(still)).tolist() == [[10, 12]]
    half = sample(image, places_in_frame(FrameMotion(translation((0.5, 0.0))), View(0, 39, 0, 44)))
    assert np.argwhere(np.isnan(half)).tolist() == [[9, 12], [10, 12]]


def test_a_band_without_a_value_stays_without() -> None:
    assert np.isnan(sample(np.full((5, 6), np.nan, np.float32), np.ones((3, 3, 2)))).all()


def test_the_part_that_is_read_says_the_same_as_the_whole_frame() -> None:
    image = np.random.default_rng(1).random((90, 80)).astype(np.float32)
    places = places_in_frame(FrameMotion(translation((4.3, -3.6))), View(30, 40, 35, 50))
    part = window_around(places, image.shape)
    assert part is not None
    assert part.shape < image.shape
    inside = sample(image[part.y0 : part.y1, part.x0 : part.x1], places - part.origin)
    np.testing.assert_allclose(inside, sample(image, places), atol=1e-5)


def test_a_view_that_the_frame_does_not_show_needs_no_part_of_it() -> None:
    places = places_in_frame(FrameMotion(translation((100, 0))), View(0, 10, 0, 10))
    assert window_around(places, SHAPE) is None

"""Whole-pixel alignment: every offset that leaves enough overlap is found, and only the overlap counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from hsimisr.registration.coarse import PREFILTER, whole_pixel_shift

SIDE = 20
WORLD = np.random.default_rng(0).standard_normal((3, 4 * SIDE, 4 * SIDE))


def window(y, x, shape=(SIDE, SIDE)):
    """The part of the world from (y, x) on, seen from its middle."""
    y, x = y + SIDE, x + SIDE
    return WORLD[:, y : y + shape[0], x : x + shape[1]].copy()


def everything(frame):
    return np.ones(frame.shape[1:], bool)


def found(reference, frame, reference_mask=None, frame_mask=None, **more):
    a = everything(reference) if reference_mask is None else reference_mask
    b = everything(frame) if frame_mask is None else frame_mask
    return whole_pixel_shift(reference, frame, a, b, **more).tolist()


@pytest.mark.parametrize("dy", [-SIDE // 2, -7, -1, 0, 3, SIDE // 2])
def test_every_offset_up_to_half_a_frame(dy):
    """Content at reference point p stands at p + d in a frame that begins d before."""
    for dx in range(-SIDE // 2, SIDE // 2 + 1):
        assert found(window(0, 0), window(-dy, -dx)) == [dy, dx]


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(12, 30), st.integers(12, 30)), st.integers(-5, 5), st.integers(-5, 5))
def test_frames_may_differ_in_size(shape, dy, dx):
    assert found(window(0, 0), window(-dy, -dx, shape)) == [dy, dx]


def test_what_is_masked_does_not_matter():
    reference, frame = window(0, 0), window(-3, 4)
    masks = everything(reference), everything(frame)
    masks[0][:, 14:] = False
    masks[1][5:9] = False
    reference[:, ~masks[0]] = 50
    frame[:, ~masks[1]] = -80
    assert found(reference, frame, *masks) == [3, -4]


def test_an_offset_in_brightness_does_not_matter():
    assert found(window(0, 0), window(-3, 4) + 100) == [3, -4]


def test_a_noisy_channel_does_not_hide_the_clean_ones():
    frame = window(-3, 4)
    frame[1] = np.random.default_rng(1).standard_normal(frame[1].shape)
    assert found(window(0, 0), frame) == [3, -4]


def test_smooth_scenes_are_not_pulled_to_small_overlaps():
    rng = np.random.default_rng(2)
    world = gaussian_filter(rng.standard_normal((1, 80, 80)), (0, 6, 6)) * 30
    a, b = world[:, 20:50, 20:50], world[:, 15:45, 27:57]
    noise = 0.05 * rng.standard_normal((2, *a.shape))
    assert found(a + noise[0], b + noise[1]) == [5, -7]


def test_less_overlap_than_asked_for_is_not_considered():
    reference, frame = window(0, 0), window(-14, 0)
    assert found(reference, frame, least_overlap=0.2) == [14, 0]
    assert abs(found(reference, frame, least_overlap=0.5)[0]) <= SIDE // 2


def test_agrees_with_trying_every_offset():
    """The same likelihood by a loop over offsets, on frames too noisy for it to be obvious."""
    rng = np.random.default_rng(3)
    reference, frame = (window(*at, (12, 11)) + 1.5 * rng.standard_normal((3, 12, 11)) for at in ((0, 0), (-2, 3)))
    whole = gaussian_filter(np.ones((12, 11)), PREFILTER, mode="constant")
    reference, frame = (
        gaussian_filter(f, (0, PREFILTER, PREFILTER), mode="constant") / whole for f in (reference, frame)
    )
    best, choice = np.inf, None
    unrelated = reference.var((1, 2)) + frame.var((1, 2))
    for dy in range(-11, 12):
        for dx in range(-10, 11):
            rows, cols = (slice(max(0, -d), min(n, n - d)) for d, n in ((dy, 12), (dx, 11)))
            a = reference[:, rows, cols]
            b = frame[:, rows.start + dy : rows.stop + dy, cols.start + dx : cols.stop + dx]
            count = a[0].size
            if count < 0.25 * 12 * 11:
                continue
            score = count * np.log((b - a).var((1, 2)) / unrelated).sum()
            if score < best:
                best, choice = score, [dy, dx]
    assert found(reference, frame) == choice

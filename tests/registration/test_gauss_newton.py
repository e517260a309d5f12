"""Pairwise sub-pixel shifts of scenes known in closed form, and whether their error bars are honest."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.registration.gauss_newton import SmoothFrame, pair_shift

WAVES = np.array([[0.11, 0.04], [-0.05, 0.09], [0.08, 0.10], [0.02, -0.07]])  # cycles per pixel, (y, x)
RANK = 3
PREFILTER = 1.0
BORDER_ERROR = 1.5e-3
"""Bound on the shift error, pixels, that the frame's edge leaves: the crop of 3 px cuts a Gaussian of width 1 where
0.13 % of it lies beyond, which a row in five feels, against a slope of 2 pi 0.1 per pixel."""


def frame_at(shift, shape=(40, 36)):
    """Eigen-images of waves that moved down and right by `shift`; no frequency comes near the Nyquist frequency."""
    rng = np.random.default_rng(0)
    amplitude, phase = rng.uniform(0.5, 2, (RANK, len(WAVES))), rng.uniform(0, 2 * np.pi, (RANK, len(WAVES)))
    y, x = np.indices(shape)
    angle = 2 * np.pi * (WAVES[:, 0, None, None] * (y - shift[0]) + WAVES[:, 1, None, None] * (x - shift[1]))
    return np.einsum("cw,cwyx->cyx", amplitude, np.cos(angle + phase[..., None, None]))


def smooth(frame, mask=None, prefilter=PREFILTER):
    return SmoothFrame.build(
        frame.astype(np.float32), np.ones(frame.shape[1:], bool) if mask is None else mask, prefilter
    )


def shift_of(frame, start, reference=None, **more):
    reference = frame_at((0, 0)) if reference is None else reference
    return pair_shift(smooth(reference, **more), smooth(frame, **more), np.array(start))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.25, -0.4), (0.5, 0.5), (2.3, -1.7), (-6.45, 5.05)])
def test_sub_pixel_shifts_are_found(shift):
    found = shift_of(frame_at(shift), np.rint(shift).astype(int))
    assert found.shift == pytest.approx(shift, abs=BORDER_ERROR)


def test_a_start_one_pixel_off_is_forgiven():
    assert shift_of(frame_at((1.2, -0.8)), (0, 0)).shift == pytest.approx([1.2, -0.8], abs=BORDER_ERROR)


def test_frames_may_differ_in_size():
    found = shift_of(frame_at((2.3, -1.7), (31, 44)), (2, -2))
    assert found.shift == pytest.approx([2.3, -1.7], abs=BORDER_ERROR)


def test_swapping_the_frames_turns_the_shift_around():
    a, b = smooth(frame_at((0, 0))), smooth(frame_at((0.3, -0.2)))
    forth, back = pair_shift(a, b, np.zeros(2, int)), pair_shift(b, a, np.zeros(2, int))
    # the iteration ends at steps of 1e-5 px
    assert forth.shift == pytest.approx(-back.shift, abs=2e-5)
    assert forth.covariance == pytest.approx(back.covariance, rel=1e-3)


def test_an_offset_in_brightness_does_not_matter():
    plain, brighter = (shift_of(frame_at((0.3, -0.2)) + offset, (0, 0)) for offset in (0, 50))
    # the offset is removed after sampling: what float32 rounds of 50 is left
    assert brighter.shift == pytest.approx(plain.shift, abs=2e-5 + 50 * float(np.finfo(np.float32).eps))


def test_a_masked_block_does_not_matter():
    """Beside the block the prefilter sees one side only: the same error as at the frame's edge."""
    mask = np.ones((40, 36), bool)
    mask[12:20, 10:22] = False
    frame = frame_at((0.3, -0.2))
    frame[:, ~mask] = 1e4
    reference = smooth(frame_at((0, 0)))
    found = pair_shift(reference, smooth(frame, mask), np.zeros(2, int)).shift
    frame[:, ~mask] = -1e4
    assert np.array_equal(pair_shift(reference, smooth(frame, mask), np.zeros(2, int)).shift, found)
    # half of the filter is missing at the edge of the block: its value lies 0.8 px further in, on 40 of 1000 pixels
    assert found == pytest.approx([0.3, -0.2], abs=0.8 * 40 / 1000)


def test_mismatch_tells_the_same_scene_from_another():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, RANK, 40, 36))
    assert shift_of(a, (0, 0), a).mismatch == pytest.approx(0, abs=1e-12)
    # two images of variance 1 differ by 2; a shift fits two of some 70 independent values (prefiltered: 4 pi px each)
    assert shift_of(b, (0, 0), a).mismatch == pytest.approx(1, abs=4 * np.sqrt(2 / (RANK * 40 * 36 / (4 * np.pi))))


def test_the_error_bar_covers_the_error():
    """Over many noise draws: d' C^-1 d of an honest covariance has mean 2.

    The covariance counts one independent value in 4 pi prefilter^2 pixels, which is exact for the lowest frequencies;
    at frequency f the prefilter passes ``exp(-(2 pi f)^2)`` of that noise, so it errs on the safe side by as much.
    """
    rng = np.random.default_rng(0)
    shift = np.array([0.3, -0.4])
    clean = frame_at((0, 0)), frame_at(shift)
    noise, draws = 0.3, 150
    score = []
    for _ in range(draws):
        a, b = (c + noise * rng.standard_normal(c.shape) for c in clean)
        found = pair_shift(smooth(a), smooth(b), np.zeros(2, int))
        error = found.shift - shift
        score.append(error @ np.linalg.solve(found.covariance, error))
    passed = np.exp(-((2 * np.pi * np.linalg.norm(WAVES, axis=1)) ** 2) * PREFILTER**2)
    sampling = 4 / np.sqrt(draws)  # of the mean of chi-squares with two degrees of freedom: relative 1 / sqrt(n)
    assert 2 * passed.min() * (1 - sampling) < np.mean(score) < 2 * (1 + sampling)

"""The baselines without an observation model, against loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import Grid, hr_to_lr, translation
from hsimisr.inversion.baselines import bicubic, cubic_at, drizzle, registered_mean
from hsimisr.physics.types import FrameMotion, Registration

EPS = float(np.finfo(np.float32).eps)
SHAPE = (9, 8)
GRID = Grid(2, (2, 1), (10, 12))
SHIFTS = [(0.0, 0.0), (0.4, -0.3), (-0.7, 0.6)]


def motions(shifts=SHIFTS, **more):
    return Registration(tuple(FrameMotion(translation(shift), **more) for shift in shifts))


def noise_frames(count=3):
    return list(np.random.default_rng(0).standard_normal((count, 2, *SHAPE)).astype(np.float32))


def ramp_frames(shifts=SHIFTS):
    """Frames of a scene whose value is 10 y + x, in reference coordinates."""
    y, x = np.indices(SHAPE)
    return [(10 * (y - dy) + (x - dx))[None].astype(np.float32) for dy, dx in shifts]


def ramp(grid):
    y, x = (hr_to_lr(np.arange(n), grid.scale) + o for n, o in zip(grid.shape, grid.origin_yx, strict=True))
    return 10 * y[:, None] + x[None, :]


def everywhere(frames):
    return [np.ones(f.shape[1:], bool) for f in frames]


def from_start(frames):
    return [(0, 0)] * len(frames)


def keys(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def test_cubic_convolution_sums_the_kernel_of_keys_over_the_pixels():
    image = noise_frames(1)[0]
    points = np.random.default_rng(1).uniform(-2, 11, (4, 5, 2))
    found = cubic_at(image, points)
    padded = np.pad(image.astype(float), ((0, 0), (6, 6), (6, 6)), mode="edge")
    for i, j in np.ndindex(4, 5):
        y, x = points[i, j]
        expected = sum(
            keys(y - v) * keys(x - u) * padded[:, v + 6, u + 6]
            for v in range(-6, SHAPE[0] + 6)
            for u in range(-6, SHAPE[1] + 6)
        )
        assert found[:, i, j] == pytest.approx(expected, abs=16 * EPS * np.abs(image).max().item())


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bicubic_keeps_a_ramp_where_it_is(scale):
    grid = Grid(scale, (3, 2), (4 * scale, 4 * scale))
    start = (1, 0)
    part = ramp_frames()[0][:, 1:]
    assert bicubic(part, start, grid)[0] == pytest.approx(ramp(grid), abs=20 * 90 * EPS)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_mean_of_moved_ramps_is_the_ramp(scale):
    """Cubic splines reproduce it, but for their mirror at the edge, which fades by 0.268 a pixel."""
    shape = (40, 36)
    y, x = np.indices(shape)
    frames = [(10 * (y - dy) + (x - dx))[None].astype(np.float32) for dy, dx in SHIFTS]
    grid = Grid(scale, (14, 14), (8 * scale, 8 * scale))
    found = registered_mean(frames, everywhere(frames), from_start(frames), motions(), grid)
    assert found[0] == pytest.approx(ramp(grid), abs=10 * 40 * 0.268**13 + 440 * 4 * EPS)


def test_the_mean_counts_only_what_was_measured():
    frames = [np.full((1, *SHAPE), value, np.float32) for value in (1, 2, 30)]
    masks = everywhere(frames)
    masks[2][:] = False
    found = registered_mean(frames, masks, from_start(frames), motions([(0, 0)] * 3), GRID)
    assert found == pytest.approx(np.full_like(found, 1.5), rel=4 * EPS)


def test_gains_are_taken_out_of_mean_and_drizzle():
    frames = [np.full((1, *SHAPE), 3.0, np.float32)] * 2
    registration = motions([(0, 0)] * 2, gain=1.5)
    for found in (
        registered_mean(frames, everywhere(frames), from_start(frames), registration, GRID),
        drizzle(frames, everywhere(frames), from_start(frames), registration, GRID, 0.6),
    ):
        assert found == pytest.approx(np.full_like(found, 2.0), rel=4 * EPS)


@pytest.mark.parametrize(("drop", "scale"), [(1.0, 2), (0.6, 2), (0.3, 2), (0.6, 3), (0.2, 4)])
def test_drizzle_agrees_with_dropping_pixel_by_pixel(drop, scale):
    """Each LR pixel is a square on the HR grid; every HR pixel takes the mean, weighted by the area they share."""
    grid = Grid(scale, (2, 1), (5 * scale, 6 * scale))
    frames, masks = noise_frames(), everywhere(noise_frames())
    masks[1][3:5, 2:4] = False
    total, area = np.zeros((2, *grid.shape)), np.zeros(grid.shape)
    for frame, mask, shift in zip(frames, masks, SHIFTS, strict=True):
        for at in np.argwhere(mask):
            centre = (at - shift - grid.origin_yx + 0.5) * scale  # in HR pixels from the grid's corner
            low, high = centre - drop * scale / 2, centre + drop * scale / 2
            for y, x in np.ndindex(grid.shape):
                shared = np.minimum(high, [y + 1, x + 1]) - np.maximum(low, [y, x])
                if (shared > 0).all():
                    area[y, x] += shared.prod()
                    total[:, y, x] += shared.prod() * frame[:, *at]
    found = drizzle(frames, masks, from_start(frames), motions(), grid, drop)
    hit = area > 1e-6
    assert hit.any()
    assert found[:, hit] == pytest.approx((total / np.maximum(area, 1e-6))[:, hit], abs=1e-5)


def test_full_drops_conserve_the_flux():
    """One frame in whole drops: each LR pixel's HR pixels hold its value, so sums over LR pixels stay."""
    frames = noise_frames(1)
    grid = Grid(3, (0, 0), (27, 24))
    found = drizzle(frames, everywhere(frames), [(0, 0)], motions(SHIFTS[:1]), grid, 1.0)
    assert found.reshape(2, 9, 3, 8, 3).mean((2, 4)) == pytest.approx(frames[0], abs=10 * EPS)


def test_where_nothing_fell_the_nearest_value_stands():
    frames = [np.full((1, *SHAPE), 7.0, np.float32)]
    masks = everywhere(frames)
    masks[0][:, 4:] = False
    for found in (
        drizzle(frames, masks, [(0, 0)], motions(SHIFTS[:1]), GRID, 0.6),
        registered_mean(frames, masks, [(0, 0)], motions(SHIFTS[:1]), GRID),
    ):
        assert found == pytest.approx(np.full((1, *GRID.shape), 7.0), rel=10 * EPS)


def test_excluded_frames_do_not_count():
    frames = noise_frames()
    out = Registration((*motions().frames[:2], FrameMotion(np.eye(3), excluded=True)))
    for method in (registered_mean, lambda *a: drizzle(*a, 0.6)):
        found = method(frames, everywhere(frames), from_start(frames), out, GRID)
        assert np.array_equal(
            found, method(frames[:2], everywhere(frames[:2]), [(0, 0)] * 2, motions(SHIFTS[:2]), GRID)
        )

"""The baselines without an observation model: bicubic of one frame, mean of the registered frames, drizzle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, map_coordinates, spline_filter1d

from hsimisr.geometry import Grid, hr_to_lr, lr_to_hr
from hsimisr.physics.motion import forward_motion, invert_motion
from hsimisr.physics.types import Registration

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def cubic_at(image: Float32, points: Float64) -> Float32:
    """Cubic convolution (Keys, a = -1/2) of images ``(n, h, w)`` at LR positions ``(H, W, 2)``; edges repeated."""
    h, w = image.shape[1:]
    whole = np.floor(points).astype(int)
    weights = _keys_weights(points - whole)
    out = np.zeros((len(image), *points.shape[:2]), np.float32)
    for i in range(4):
        y = np.clip(whole[..., 0] + i - 1, 0, h - 1)
        for j in range(4):
            x = np.clip(whole[..., 1] + j - 1, 0, w - 1)
            out += image[:, y, x] * (weights[i][..., 0] * weights[j][..., 1]).astype(np.float32)
    return out


def _keys_weights(t: Float64) -> list[Float64]:
    return [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]


def bicubic(frame: Float32, start: tuple[int, int], grid: Grid) -> Float32:
    """Bicubic interpolation ``(n, H, W)`` of the reference frame's window, which begins at pixel `start`."""
    return cubic_at(frame, _grid_points(grid) - np.asarray(start))


def registered_mean(
    frames: list[Float32], masks: list[Mask], starts: list[tuple[int, int]], registration: Registration, grid: Grid
) -> Float32:
    """Mean ``(r, H, W)`` of the frames, each interpolated by cubic splines at the HR pixels it shows."""
    points = _grid_points(grid)
    total = np.zeros((len(frames[0]), *grid.shape))
    count = np.zeros(grid.shape)
    for k in registration.included:
        motion = registration.frames[k]
        where = np.moveaxis(forward_motion(motion, points) - np.asarray(starts[k]), -1, 0)
        h, w = masks[k].shape
        inside = (where[0] >= -0.5) & (where[0] <= h - 0.5) & (where[1] >= -0.5) & (where[1] <= w - 0.5)
        seen = inside * map_coordinates(masks[k].astype(float), where, order=1, mode="nearest")
        seen[seen < 0.999] = 0
        coefficients = frames[k].astype(float)
        for axis in (1, 2):
            coefficients = spline_filter1d(coefficients, 3, axis=axis, mode="mirror")
        for channel, image in enumerate(coefficients):
            value = map_coordinates(image, where, order=3, mode="mirror", prefilter=False)
            total[channel] += value * seen / motion.gain
        count += seen
    return _filled(total, count)


def drizzle(
    frames: list[Float32],
    masks: list[Mask],
    starts: list[tuple[int, int]],
    registration: Registration,
    grid: Grid,
    drop: float,
) -> Float32:
    """Shift-and-add ``(r, H, W)``: each LR pixel falls as a square of side `drop` LR pixels onto the HR grid.

    (Fruchter and Hook, PASP 114, 2002; drops keep their axes, rotation within a pixel is neglected.)
    """
    r = len(frames[0])
    size = drop * grid.scale
    reach = int(np.ceil(size / 2 + 0.5))
    total = np.zeros((r, grid.shape[0] * grid.shape[1]))
    count = np.zeros(grid.shape[0] * grid.shape[1])
    for k in registration.included:
        motion = registration.frames[k]
        rows, cols = np.nonzero(masks[k])
        centre = lr_to_hr(
            invert_motion(motion, np.stack([rows, cols], -1) + np.asarray(starts[k])) - np.asarray(grid.origin_yx),
            grid.scale,
        )
        values = frames[k][:, rows, cols] / motion.gain
        nearest = np.rint(centre).astype(int)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                y, x = nearest[:, 0] + dy, nearest[:, 1] + dx
                area = _overlap(y - centre[:, 0], size) * _overlap(x - centre[:, 1], size)
                hit = (area > 0) & (y >= 0) & (y < grid.shape[0]) & (x >= 0) & (x < grid.shape[1])
                index = y[hit] * grid.shape[1] + x[hit]
                count += np.bincount(index, area[hit], len(count))
                for channel in range(r):
                    total[channel] += np.bincount(index, area[hit] * values[channel, hit], len(count))
    return _filled(total.reshape(r, *grid.shape), count.reshape(grid.shape))


def _overlap(distance: Float64, size: float) -> Float64:
    """Length shared by an HR pixel and a drop of side `size` HR pixels at `distance`."""
    return np.clip((1 + size) / 2 - np.abs(distance), 0, min(1.0, size))


def _grid_points(grid: Grid) -> Float64:
    axes = [hr_to_lr(np.arange(n), grid.scale) + o for n, o in zip(grid.shape, grid.origin_yx, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _filled(total: Float64, count: Float64) -> Float32:
    """Weighted mean; where nothing fell, the nearest pixel that something fell on."""
    empty = count < 1e-6
    mean = total / np.where(empty, 1, count)
    if empty.any() and not empty.all():
        nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
        mean = mean[:, nearest[0], nearest[1]]
    return np.asarray(mean, dtype=np.float32)

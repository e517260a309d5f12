"""The motion of a frame as arrows on the reference, drawn longer than they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import Float64, FrameMotion

ACROSS = 12
"""Arrows along the longer side of the reference."""
LONGEST = 0.9
"""Length of the longest arrow, in distances between arrows."""
STILL = 1e-6
"""LR pixels; less is no motion."""


@dataclass(frozen=True, eq=False)
class Arrows:
    """Where content of the reference stands in the frame.

    Attributes:
        data: starts and lengths ``(n, 2, 2)`` in pixels of the reference, lengths times `factor`.
        relative: whether the median motion is taken off; a pure shift is shown itself.
    """

    data: Float64
    factor: float
    relative: bool


def motion_arrows(motion: FrameMotion, shape_yx: tuple[int, int]) -> Arrows | None:
    """Arrows all over a reference of this shape, or None where nothing moves."""
    spacing = max(shape_yx) / ACROSS
    axes = (np.arange(spacing / 2, size, spacing) - 0.5 for size in shape_yx)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    moves = forward_motion(motion, points) - points
    relative = not motion.is_shift
    if relative:
        moves -= np.median(moves, axis=0)
    longest = float(np.hypot(*moves.T).max())
    if longest < STILL:
        return None
    factor = _round_down(LONGEST * spacing / longest)
    return Arrows(np.stack([points, factor * moves], axis=1), factor, relative)


def _round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return power * max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))

"""Maps of how good a result is: an image, and where it lies on the reference frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import Grid, View, apply_motion, hr_to_lr, translation
from hsimisr.physics.types import Float64, FrameMotion

Values = npt.NDArray[np.floating]
HIGH = 98
"""Percentile up to which a map's colours reach."""
SAMPLE = 512
"""Pixels along a side that are enough to find it."""


@dataclass(frozen=True)
class Summary:
    """The finite values of a map in three numbers; NaN where there are none."""

    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, values: Values) -> Summary:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(math.nan, math.nan, math.nan)
        median, p95 = np.percentile(finite, (50, 95)).tolist()
        return cls(float(finite.mean()), median, p95)


@dataclass(frozen=True, eq=False)
class Map:
    """Values ``(h, w)``, NaN where nothing is known.

    Attributes:
        to_reference: 3x3, from ``(y, x, 1)`` of the map's pixels to pixels of the reference frame.
    """

    values: Values
    to_reference: Float64

    @classmethod
    def on_grid(cls, values: Values, grid: Grid) -> Map:
        """On the HR grid of a result."""
        matrix = np.diag([1 / grid.scale, 1 / grid.scale, 1.0])
        matrix[:2, 2] = np.add(grid.origin_yx, hr_to_lr(0, grid.scale))
        return cls(values, matrix)

    @classmethod
    def on_view(cls, values: Values, view: View) -> Map:
        """On the pixels of the reference frame."""
        return cls(values, translation(view.origin))

    @classmethod
    def on_frame(cls, values: Values, window: View, motion: FrameMotion) -> Map:
        """On a window of another frame, as its matrix tells where that lies; a perspective as at the middle of it."""
        middle = np.asarray(window.origin) + np.asarray(window.shape) / 2
        points = apply_motion(np.linalg.inv(motion.matrix), middle + np.array([[0, 0], [1, 0], [0, 1]]))
        matrix = np.eye(3)
        matrix[:2, :2] = (points[1:] - points[0]).T
        matrix[:2, 2] = points[0] - matrix[:2, :2] @ (middle - window.origin)
        return cls(values, matrix)

    @property
    def limits(self) -> tuple[float, float]:
        """From 0 to a round number that few values exceed, by a sample of them: the window asks for it."""
        step = max(1, max(self.values.shape) // SAMPLE)
        sample = self.values[::step, ::step]
        finite = sample[np.isfinite(sample)]
        high = float(np.percentile(finite, HIGH)) if finite.size else 0.0
        return 0.0, round_up(high) if high > 0 else 1.0


def round_up(value: float) -> float:
    """The next number above a positive one that has a single digit, or is 1.5 or 2.5 of it."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= value * (1 - 1e-9))

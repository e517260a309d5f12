"""Maps of sharp-edged objects that cover each other, with the size law of natural images.

The dead-leaves model (Lee, Mumford and Huang, IJCV 41(1/2), 2001): objects whose size r is distributed as r^-3, each
lying on those before it, have the edges, occlusions and scale invariance of real scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Leaves:
    """How many objects, how large, in drawn pixels, and what part of them are thin lines."""

    count: int
    smallest: float
    largest: float
    lines: float


def dead_leaves(shape: tuple[int, int], leaves: Leaves, rng: np.random.Generator) -> Labels:
    """Number ``(Y, X)`` of the object on top, from 1; 0 where none lies."""
    labels = np.zeros(shape, np.int32)
    low, high = leaves.smallest**-2, leaves.largest**-2
    radius = (low + rng.random(leaves.count) * (high - low)) ** -0.5  # density r^-3
    centre = rng.random((leaves.count, 2)) * shape
    kind = rng.choice(4, leaves.count, p=np.array([0.35, 0.4, 0.25, 0]) * (1 - leaves.lines) + [0, 0, 0, leaves.lines])
    angle = rng.uniform(0, np.pi, leaves.count)
    if rng.random() < 0.5:  # towns: most things stand along two directions
        angle = angle[0] + rng.integers(0, 2, leaves.count) * np.pi / 2 + rng.normal(0, 0.03, leaves.count)
    for n in range(leaves.count):
        half = _half_axes(int(kind[n]), float(radius[n]), leaves, rng)
        _paint(labels, n + 1, centre[n], half, float(angle[n]), int(kind[n]), rng)
    return labels


DISC, RECTANGLE, POLYGON, LINE = range(4)


def _half_axes(kind: int, radius: float, leaves: Leaves, rng: np.random.Generator) -> tuple[float, float]:
    if kind == LINE:
        return leaves.largest * rng.uniform(0.5, 2.5), leaves.smallest * rng.uniform(0.4, 1.2)
    flat = rng.uniform(0.4, 1.0)
    return radius, radius * flat


def _paint(
    labels: Labels,
    label: int,
    centre: Array,
    half: tuple[float, float],
    angle: float,
    kind: int,
    rng: np.random.Generator,
) -> None:
    """Write a label where one object lies; only the box around it is looked at."""
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    box = (half[0] * sin + half[1] * cos + 1, half[0] * cos + half[1] * sin + 1)
    (y0, y1), (x0, x1) = (
        (max(int(c - b), 0), min(int(c + b) + 2, n)) for c, b, n in zip(centre, box, labels.shape, strict=True)
    )
    if y0 >= y1 or x0 >= x1:
        return
    dy, dx = np.arange(y0, y1)[:, None] + 0.5 - centre[0], np.arange(x0, x1)[None, :] + 0.5 - centre[1]
    along = (dy * np.sin(angle) + dx * np.cos(angle)) / half[0]
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / half[1]
    round_ = along**2 + across**2 < 1
    inside = round_ if kind == DISC else (np.abs(along) < 1) & (np.abs(across) < 1)
    if kind == POLYGON:  # a rectangle less what lies beyond a few slanted cuts
        for turn in rng.uniform(0, 2 * np.pi, 4):
            inside &= along * np.cos(turn) + across * np.sin(turn) < rng.uniform(0.5, 1.0)
    labels[y0:y1, x0:x1][inside] = label

"""Which axis of an array is the spectrum, when the file does not say."""

from __future__ import annotations

from math import log

HABIT_BONUS = 0.5  # how much less alike (log ratio of its sides) an image may be when the axes are the usual ones


def find_axes(shape: tuple[int, int, int], band_count: int | None, habit: str) -> tuple[str, str]:
    """The axes of a 3-D array as letters (``byx``, ``yxb`` or ``ybx``) and a sentence on how they were found.

    Args:
        shape: of the array.
        band_count: number of bands if it is known from elsewhere, such as a list of wavelengths.
        habit: the usual axes of the format.
    """
    if band_count is not None and shape.count(band_count) == 1:
        axes = _axes_with_band(shape.index(band_count))
        return axes, f"axes {_name(axes)}: {band_count} bands are described"
    if band_count is not None and shape[habit.index("b")] == band_count:
        return habit, f"axes {_name(habit)}: usual for this format, and {band_count} bands are described"
    cost = {}
    for axis in range(3):
        sides = [size for k, size in enumerate(shape) if k != axis]
        axes = _axes_with_band(axis)
        cost[axes] = abs(log(sides[0] / sides[1])) - (HABIT_BONUS if axes == habit else 0.0)
    axes = min(cost, key=lambda axes: cost[axes])
    reason = "usual for this format" if axes == habit else "the other two sides are most alike"
    return axes, f"axes taken as {_name(axes)}: {reason}"


def _axes_with_band(axis: int) -> str:
    return ("byx", "ybx", "yxb")[axis]


def _name(axes: str) -> str:
    return "(" + ", ".join({"b": "band", "k": "frame"}.get(letter, letter) for letter in axes) + ")"

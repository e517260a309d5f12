"""The part of a stack that its scene model is estimated from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.cube import FrameStack
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.physics.noise import measured
from hsimisr.physics.types import Registration
from hsimisr.pipeline.frames import Window, read_window, silent_bands

SAMPLE = 192
AROUND_VIEW = 96
"""Side in LR pixels of the part of a large stack that the scene model is estimated from, and of the part around a
view where only that is asked for."""


def choose_sample(shape: tuple[int, int], view: View | None, room: int) -> tuple[View, bool]:
    """The part of the reference to estimate from, and whether it is only the surroundings of a view.

    Args:
        room: the largest side that fits into memory, LR pixels.
    """
    largest = min(SAMPLE, room) if view is None else min(max(AROUND_VIEW, *view.shape), SAMPLE, room)
    if max(shape) <= largest:
        return View.whole(shape), False
    centre = [(n - 1) / 2 for n in shape]
    if view is not None:
        centre = [o + (n - 1) / 2 for o, n in zip(view.origin, view.shape, strict=True)]
    sizes = [min(n, largest) for n in shape]
    y0, x0 = (int(np.clip(c - size / 2, 0, n - size)) for c, size, n in zip(centre, sizes, shape, strict=True))
    return View(y0, y0 + sizes[0], x0, x0 + sizes[1]), view is not None


def read_sample(stack: FrameStack, sample: View, known: Registration | None) -> Window:
    """The sample of every frame; bands that hold nothing are bad, whoever flagged them."""
    window = read_window(stack, stack.bad, sample, 0, known)
    if not all(mask.any() for mask in window.masks):
        window = read_window(stack, silent_bands(stack, sample), sample, 0, known)
    if not window.masks[stack.reference].any():
        raise StackError(
            f"{stack.reference_frame.name} holds no valid pixel in {sample}; choose another view or reference"
        )
    bad = window.bad if window.bad.all() else _with_dead_bands(window)
    if bad.all():
        raise StackError("every band is bad or constant; there is nothing to refine")
    return window if (bad == window.bad).all() else read_window(stack, bad, sample, 0, known)


def _with_dead_bands(window: Window) -> npt.NDArray[np.bool_]:
    """Add to the bad bands those that are constant in every frame: they carry no signal and would break whitening."""
    seen = [measured(cube, mask) for cube, mask in zip(window.cubes, window.masks, strict=True) if mask.any()]
    dead = np.logical_and.reduce([np.ptp(pixels, axis=1) == 0 for pixels in seen])
    out = window.bad.copy()
    out[np.flatnonzero(~out)[dead]] = True
    return out

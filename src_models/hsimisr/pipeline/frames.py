"""Frames in memory, as far as a window of the reference needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import Registration, Subspace

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Window:
    """A part of every frame: good bands ``(B_good, h_k, w_k)`` in data units, masks, and where each part begins."""

    cubes: list[Float32]
    masks: list[Mask]
    starts: list[tuple[int, int]]
    bad: npt.NDArray[np.bool_]

    def project(self, subspace: Subspace) -> list[Float32]:
        """Eigen-images ``(r, h_k, w_k)``; 0 where masked."""
        return [subspace.project_good(c) * m for c, m in zip(self.cubes, self.masks, strict=True)]


def read_window(
    stack: FrameStack, bad: npt.NDArray[np.bool_], view: View, halo: int, motion: Registration | None
) -> Window:
    """Load the part of each frame that shows `view` of the reference and `halo` LR pixels around it.

    Args:
        bad: bands to leave out.
        motion: where the view lies in each frame; None reads the same window of every frame.
    """
    cubes, masks, starts = [], [], []
    for k, frame in enumerate(stack.frames):
        part = _part(frame, view, halo, motion, k)
        if part is None:
            cubes.append(np.zeros((int((~bad).sum()), 1, 1), np.float32))
            masks.append(np.zeros((1, 1), bool))
            starts.append((0, 0))
            continue
        data = frame.read(part)[~bad]
        mask = np.isfinite(data.sum(0))  # NaN in any band shows in the sum
        cubes.append(data if mask.all() else np.where(mask, data, np.float32(0)))
        masks.append(mask)
        starts.append(part.origin)
    return Window(cubes, masks, starts, bad)


def silent_bands(stack: FrameStack, view: View) -> npt.NDArray[np.bool_]:
    """Bad bands ``(B,)``, and those without a value in a frame that has values in other bands."""
    silent = stack.bad.copy()
    for k, frame in enumerate(stack.frames):
        part = _part(frame, view, 0, None, k)
        if part is None:
            continue
        seen = np.asarray(np.isfinite(frame.read(part)).any(axis=(1, 2)))
        if seen.any():
            silent |= ~seen
    return silent


def seen_by_any(window: Window, registration: Registration, view: View) -> npt.NDArray[np.bool_]:
    """Pixels ``(h, w)`` of the view that fall on a valid pixel of some used frame, to the nearest pixel."""
    rows, cols = np.meshgrid(np.arange(view.y0, view.y1), np.arange(view.x0, view.x1), indexing="ij")
    points = np.stack([rows, cols], -1)
    seen = np.zeros(view.shape, bool)
    for k in registration.included:
        mask = window.masks[k]
        place = np.rint(forward_motion(registration.frames[k], points) - window.starts[k]).astype(int)
        inside = ((place >= 0) & (place < mask.shape)).all(-1)
        seen[inside] |= mask[place[inside, 0], place[inside, 1]]
    return seen


def _part(frame: Cube, view: View, halo: int, motion: Registration | None, k: int) -> View | None:
    """The window of a frame that shows the view with its halo, or None where the frame does not reach it."""
    outline = _outline(view)
    if motion is not None:
        outline = forward_motion(motion.frames[k], outline)
    low = np.maximum(np.floor(outline.min(0)).astype(int) - halo, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 1 + halo, frame.shape_yx)
    if (high <= low).any():
        return None
    return View(int(low[0]), int(high[0]), int(low[1]), int(high[1]))


def _outline(view: View) -> npt.NDArray[np.float64]:
    """Pixels ``(n, 2)`` at the edge of a view: where a motion takes it, its image lies inside that of its edge."""
    rows, cols = np.arange(view.y0, view.y1, dtype=float), np.arange(view.x0, view.x1, dtype=float)
    sides = [np.stack(np.broadcast_arrays(y, cols), -1) for y in rows[[0, -1]]]
    sides += [np.stack(np.broadcast_arrays(rows, x), -1) for x in cols[[0, -1]]]
    return np.concatenate(sides)

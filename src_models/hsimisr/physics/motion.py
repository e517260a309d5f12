"""Motion of a frame with its local field, both ways: where a frame shows a reference point, and what it shows there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import apply_motion
from hsimisr.physics.types import FrameMotion

Points = npt.NDArray[np.float64]


def forward_motion(motion: FrameMotion, points: npt.ArrayLike) -> Points:
    """Where the frame shows the reference points ``(..., 2)``, LR pixels; outside its grid a local field goes on."""
    reference = np.asarray(points, float)
    return apply_motion(motion.matrix, reference) + _local(motion, reference)


def invert_motion(motion: FrameMotion, points: npt.ArrayLike, iterations: int = 20) -> Points:
    """Reference points ``(..., 2)`` whose image in the frame is `points`; a local field is inverted by fixed point."""
    seen = np.asarray(points, float)
    inverse = np.linalg.inv(motion.matrix)
    reference = apply_motion(inverse, seen)
    if motion.field is None:
        return reference
    for _ in range(iterations):
        reference = apply_motion(inverse, seen - _local(motion, reference))
    return reference


def _local(motion: FrameMotion, reference: Points) -> Points:
    """The local field ``(..., 2)`` at reference points, bilinear between pixels; 0 where there is none."""
    if motion.field is None:
        return np.zeros(2)
    from scipy.ndimage import map_coordinates  # only where a field is there: the window imports this module

    where = reference.reshape(-1, 2).T
    parts = [map_coordinates(part, where, output=np.float64, order=1, mode="nearest") for part in motion.field]
    return np.stack(parts, -1).reshape(reference.shape)

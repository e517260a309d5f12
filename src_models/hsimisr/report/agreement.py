"""Whether a result agrees with its own frames: the spectral angle between each frame and what it would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsimisr.cube import FrameStack
from hsimisr.physics.prediction import predict, window_of
from hsimisr.physics.types import Estimate, SceneModel


@dataclass(frozen=True)
class Agreement:
    """One frame: medians over its pixels, degrees."""

    name: str
    angle: float
    noise: float
    """The angle that noise alone makes."""

    @property
    def ratio(self) -> float:
        """1 as expected."""
        return self.angle / self.noise


def agreements(estimate: Estimate, scene: SceneModel, stack: FrameStack) -> list[Agreement]:
    """Every frame that was used and shows a part of the estimate; reads that part."""
    found = []
    for k in scene.registration.included:
        cube, motion = stack.frames[k], scene.registration.frames[k]
        window = window_of(motion, estimate.grid.view, cube.shape_yx)
        if window is None:
            continue
        index = np.flatnonzero(~(estimate.subspace.bad | cube.bad))
        if len(index) < 2:  # one value has no angle
            continue
        prediction = predict(estimate, motion, scene.psf, window)
        measured = cube.read(window)[index]
        angles, noise = prediction.angles(measured, index, slice(0, window.shape[0]), scene.noise)
        seen = np.isfinite(angles) & np.isfinite(noise)
        if seen.any():
            found.append(Agreement(cube.name, float(np.median(angles[seen])), float(np.median(noise[seen]))))
    return found

"""Where every frame of a session shows a point of the canvas, and what point a pixel of it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from hsimisr.cube import Cube
from hsimisr.geometry import Grid, apply_motion, lr_to_hr
from hsimisr.physics.motion import forward_motion, invert_motion
from hsimisr.physics.types import FrameMotion
from napari_hsimisr.layers import cube_of, plane_to_world
from napari_hsimisr.session import Session

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Place:
    """How the pixels of an image lie in the world, as it was when asked.

    Attributes:
        from_world: 3x3, from world ``(y, x, 1)`` to pixels of the reference (or of the image itself, without motion).
        motion: from there to the pixels of the image, or None.
    """

    from_world: Points
    motion: FrameMotion | None = None

    def pixels(self, world: npt.ArrayLike) -> Points:
        """World points ``(..., 2)`` in pixels of the image."""
        points = apply_motion(self.from_world, world)
        return points if self.motion is None else forward_motion(self.motion, points)

    def world(self, pixels: npt.ArrayLike) -> Points:
        """Pixels ``(..., 2)`` of the image in the world."""
        points = np.asarray(pixels, float) if self.motion is None else invert_motion(self.motion, pixels)
        return apply_motion(np.linalg.inv(self.from_world), points)


def place_of(layer: Image) -> Place:
    """Where a layer lies on the canvas."""
    return Place(np.linalg.inv(plane_to_world(layer)))


def place_of_grid(grid: Grid, reference: Image) -> Place:
    """Where the HR pixels of an estimate lie that was made on a reference frame."""
    to_hr = np.diag([float(grid.scale), float(grid.scale), 1.0])
    to_hr[:2, 2] = [float(lr_to_hr(-origin, grid.scale)) for origin in grid.origin_yx]
    return Place(to_hr @ place_of(reference).from_world)


def frame_places(session: Session, layers: Sequence[Image] | None = None) -> Iterator[tuple[Image, Cube, Place]]:
    """The frames that take part: read through their motion once there is one, else where they lie on the canvas.

    Args:
        layers: the frames to ask for; all by default.
    """
    motion_reference = session.motion_reference
    for layer in session.included if layers is None else layers:
        cube, motion = cube_of(layer), session.motions.get(layer)
        if cube is None or (motion is not None and motion.excluded):
            continue
        if motion is None or motion_reference is None:
            yield layer, cube, place_of(layer)
        else:
            yield layer, cube, Place(place_of(motion_reference).from_world, motion)

"""One band of two frames at the same pixels of the reference: what checkerboard and difference are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Image

from hsimisr.cube import Cube
from hsimisr.geometry import View
from hsimisr.physics.sampling import places_in_frame, sample, window_around
from hsimisr.physics.types import Float32, FrameMotion
from napari_hsimisr.alignment import AS_MEASURED
from napari_hsimisr.layers import contrast_limits, cube_of
from napari_hsimisr.session import Session
from napari_hsimisr.view import current_view

SHARE = 0.25
"""Part of the band's contrast at which a difference has its full colour."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The band of the reference and of another frame ``(h, w)``, in the scene's values: gain and offset are taken out.

    Attributes:
        limits: values between which the reference's band lies, but for its extremes.
    """

    band: int
    view: View
    reference: Float32
    frame: Float32
    limits: tuple[float, float]

    @property
    def difference(self) -> Float32:
        """Frame minus reference ``(h, w)``."""
        return self.frame - self.reference

    @property
    def rms_share(self) -> float:
        """Root mean square of the difference over the band's contrast; NaN where nothing can be compared."""
        known = self.difference[np.isfinite(self.difference)].astype(float)
        low, high = self.limits
        return float(np.sqrt(np.mean(known**2)) / (high - low)) if known.size else float("nan")

    @property
    def difference_limits(self) -> tuple[float, float]:
        """Limits around 0 that stay while a frame is moved, so that better alignment looks fainter."""
        low, high = self.limits
        return -SHARE * (high - low), SHARE * (high - low)

    def checkerboard(self, side: int) -> Float32:
        """Squares of `side` pixels ``(h, w)``, by turns of the reference and of the frame."""
        rows = np.arange(self.view.y0, self.view.y1)[:, None] // side  # whole squares stay where they are in a new view
        columns = np.arange(self.view.x0, self.view.x1)[None] // side
        return np.where((rows + columns) % 2 == 0, self.reference, self.frame)


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two frames."""

    cube: Cube
    motion: FrameMotion

    def scene(self, band: int, values: Float32) -> Float32:
        """The frame's values as those of the scene."""
        offset = 0.0 if self.motion.offset is None else np.float32(self.motion.offset[band])
        return (values - offset) / np.float32(self.motion.gain)

    def read(self, band: int, view: View) -> Float32:
        """The band ``(h, w)`` of the frame at the reference pixels of a view; NaN where it shows none of it."""
        places = places_in_frame(self.motion, view)
        part = window_around(places, self.cube.shape_yx)
        if part is None:
            return np.full(view.shape, np.nan, np.float32)
        values = self.cube.read(part, slice(band, band + 1))[0]
        return self.scene(band, sample(values, places - part.origin))


@dataclass(frozen=True, eq=False)
class Plan:
    """What to compare: taken from the layers on the GUI thread, carried out on another by `read`."""

    band: int
    view: View
    reference: Side
    frame: Side

    def read(self) -> Comparison:
        """Read the files; raises what reading a cube raises."""
        reference = self.reference.read(self.band, self.view)
        frame = self.frame.read(self.band, self.view)
        return Comparison(self.band, self.view, reference, frame, contrast_limits(reference))


def plan_comparison(session: Session, layer: Image) -> Plan | None:
    """Compare a frame, where it is shown now, with the reference, in the band and the view on the canvas.

    None without a reference.

    Raises:
        ConfigError: the reference is not on the canvas, or shown in 3D.
    """
    reference = session.motion_reference or session.reference
    cube, other = cube_of(reference), cube_of(layer)
    if reference is None or cube is None or other is None:
        return None
    band = min(session.viewer.dims.current_step[0], cube.bands - 1, other.bands - 1)
    view = current_view(session.viewer, reference)
    return Plan(
        band, view, Side(cube, session.motions.get(reference, AS_MEASURED)), Side(other, shown_motion(session, layer))
    )


def shown_motion(session: Session, layer: Image) -> FrameMotion:
    """The motion by which a frame is shown: its own, unless it is shown as it was measured."""
    motion = session.motions.get(layer, AS_MEASURED)
    return motion if session.aligned and not motion.excluded else AS_MEASURED

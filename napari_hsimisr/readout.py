"""What every cube of a session says about one point: frames read through their motion, baseline, refined."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.geometry import View
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import Estimate, FrameMotion, hr_index
from napari_hsimisr.layers import cube_of
from napari_hsimisr.session import Session
from napari_hsimisr.view import pixel_at

Spectrum = npt.NDArray[np.float32]
Point = tuple[float, float]
GAP = 3.0
"""How many times the usual step between bands may be before something is missing in between."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One spectrum ``(band,)``, NaN at gaps, with its standard deviation where there is one."""

    label: str
    values: Spectrum
    std: Spectrum | None = None


@dataclass(frozen=True, eq=False)
class Readout:
    """The spectra at a point (in pixels of the reference frame), over wavelengths in nm or, without them, bands."""

    point: Point
    wavelengths: npt.NDArray[np.float64] | None
    bad: npt.NDArray[np.bool_]
    frames: tuple[Curve, ...]
    baseline: Curve | None
    refined: Curve | None


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to read: taken from the layers on the GUI thread, carried out on another by `read`."""

    point: Point
    frames: tuple[tuple[str, Cube, Point], ...]
    baseline: Estimate | None
    refined: Estimate | None

    def read(self) -> Readout:
        """Read the files; raises what reading a cube raises."""
        curves = []
        for label, cube, point in self.frames:
            values = interpolate(cube, point)
            if values is not None:
                curves.append(Curve(label, values))
        first = self.frames[0][1]
        bad = first.bad if self.refined is None else first.bad | self.refined.subspace.bad
        return Readout(
            self.point,
            first.wavelengths,
            bad,
            tuple(curves),
            baseline=_of_estimate("bicubic", self.baseline, self.point),
            refined=_of_estimate("refined", self.refined, self.point),
        )


def plan_readout(session: Session) -> Plan | None:
    """Where each frame shows the session's pinned point, or None without a pin or frames."""
    if session.pin is None or session.reference is None:
        return None
    world = (0.0, *session.pin)
    frames = []
    for layer in session.included:
        cube, motion = cube_of(layer), session.motions.get(layer)
        if cube is None or (motion is not None and motion.excluded):
            continue
        if motion is None or session.motion_reference is None:
            where = pixel_at(layer, world)
        else:
            where = point_in_frame(motion, pixel_at(session.motion_reference, world))
        frames.append((layer.name, cube, where))
    if not frames:
        return None
    estimated = session.reference if session.request is None else session.request.reference_layer
    baseline = None if session.result is None else session.result.baseline
    return Plan(pixel_at(estimated, world), tuple(frames), baseline, session.estimate)


def point_in_frame(motion: FrameMotion, point: Point) -> Point:
    """``M_k p``: where a frame shows the ground point at `point` of the reference, LR pixels."""
    y, x = forward_motion(motion, point)
    return float(y), float(x)


def interpolate(cube: Cube, point: Point) -> Spectrum | None:
    """Bilinear spectrum ``(band,)`` at a point in the cube's pixels, or None outside of it."""
    starts, weights = [], []
    for coordinate, size in zip(point, cube.shape_yx, strict=True):
        if not -0.5 <= coordinate < size - 0.5:
            return None
        inside = min(max(coordinate, 0.0), size - 1.0)
        start = math.floor(inside)
        part = inside - start
        starts.append(start)
        weights.append(np.array([1 - part, part] if part > 0 else [1.0], np.float32))
    (y, x), (rows, columns) = starts, weights
    window = cube.read(View(y, y + len(rows), x, x + len(columns)))
    return np.asarray(np.einsum("byx,y,x->b", window, rows, columns), dtype=np.float32)


def joined(x: npt.NDArray[np.float64], values: Spectrum) -> npt.NDArray[np.bool_]:
    """Whether each band ``(band,)`` joins the next in a plot: both hold data, and no stretch is left out in between."""
    steps = np.abs(np.diff(x))
    near = steps <= GAP * np.nanmedian(steps) if len(steps) > 1 else np.ones(len(steps), bool)
    finite = np.isfinite(values)
    return np.append(near & finite[:-1] & finite[1:], False)


def _of_estimate(label: str, estimate: Estimate | None, point: Point) -> Curve | None:
    pixel = None if estimate is None else hr_index(point, estimate.grid)
    if estimate is None or pixel is None:
        return None
    values, std = estimate.spectrum(*pixel)
    return Curve(label, values, std if estimate.variance is not None else None)

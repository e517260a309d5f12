"""What every cube of a session says about one point: frames read through their motion, baseline, refined."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.geometry import View, lr_to_hr
from hsimisr.physics.types import Estimate, hr_index
from napari_hsimisr.places import frame_places
from napari_hsimisr.session import Session
from napari_hsimisr.view import pixel_at

Spectrum = npt.NDArray[np.float32]
Point = tuple[float, float]
GAP = 3.0
"""How many times the usual step between bands may be before something is missing in between."""
BASELINE, REFINED = "bicubic", "refined"


@dataclass(frozen=True, eq=False)
class Curve:
    """One spectrum ``(band,)``, NaN at gaps, with its standard deviation where there is one.

    Attributes:
        count: how many pixels of a region it is the mean of, or 0 at a point.
    """

    label: str
    values: Spectrum
    std: Spectrum | None = None
    count: int = 0


@dataclass(frozen=True, eq=False)
class Readout:
    """The spectra at a point (in pixels of the reference frame), over wavelengths in nm or, without them, bands.

    Attributes:
        measured: what the reference frame itself shows there, or None outside of it.
    """

    point: Point
    wavelengths: npt.NDArray[np.float64] | None
    bad: npt.NDArray[np.bool_]
    frames: tuple[Curve, ...]
    baseline: Curve | None
    refined: Curve | None
    measured: Curve | None = None

    @property
    def main(self) -> Curve | None:
        """The one curve that speaks for this point: refined, else measured by the reference."""
        return self.refined or self.measured or next(iter(self.frames), None)

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Where the bands are drawn: wavelengths, or numbers without them."""
        return np.arange(len(self.bad), dtype=float) if self.wavelengths is None else self.wavelengths


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to read: taken from the layers on the GUI thread, carried out on another by `read`.

    Attributes:
        point: in pixels of the reference.
        reference: name and cube of it.
        frames: name, cube and point in its own pixels, of every frame to be read.
        box: pixels along the side of the square that is averaged.
    """

    point: Point
    reference: tuple[str, Cube]
    frames: tuple[tuple[str, Cube, Point], ...]
    baseline: Estimate | None
    refined: Estimate | None
    box: int = 1

    def read(self) -> Readout:
        """Read the files; raises what reading a cube raises."""
        curves = []
        for label, cube, point in self.frames:
            values = interpolate(cube, point, self.box)
            if values is not None:
                curves.append(Curve(label, values))
        name, reference = self.reference
        bad = reference.bad if self.refined is None else reference.bad | self.refined.subspace.bad
        return Readout(
            self.point,
            reference.wavelengths,
            bad,
            tuple(curves),
            baseline=_of_estimate(BASELINE, self.baseline, self.point, self.box),
            refined=_of_estimate(REFINED, self.refined, self.point, self.box),
            measured=next((curve for curve in curves if curve.label == name), None),
        )


def plan_readout(session: Session, world: Point | None = None, box: int = 1, *, brief: bool = False) -> Plan | None:
    """Where each frame shows a point of the canvas, or None without a point or frames.

    Args:
        world: ``(y, x)``; the session's pinned point by default.
        box: side of the square around it that is averaged, in pixels of the frames.
        brief: read as little as `Readout.main` and the baseline need.
    """
    world = session.pin if world is None else world
    if world is None or session.reference is None:
        return None
    frames = []
    for layer, cube, place in frame_places(session, [session.reference] if brief else None):
        y, x = place.pixels(world).tolist()
        frames.append((layer, cube, (y, x)))
    if not frames:
        return None
    estimated = session.reference if session.request is None else session.request.reference_layer
    point = pixel_at(estimated, (0.0, *world))
    reference, first, _ = next((frame for frame in frames if frame[0] is session.reference), frames[0])
    estimate, baseline = estimates_of(session, first)
    if brief:
        frames = [] if estimate is not None and hr_index(point, estimate.grid) is not None else frames
    named = tuple((layer.name, cube, where) for layer, cube, where in frames)
    return Plan(point, (reference.name, first), named, baseline, estimate, box)


def estimates_of(session: Session, reference: Cube) -> tuple[Estimate | None, Estimate | None]:
    """What is refined and the baseline, as far as they are there and have the bands of the reference."""
    refined = session.estimate
    if refined is None or refined.subspace.bands != reference.bands:
        return None, None
    return refined, None if session.result is None else session.result.baseline


def interpolate(cube: Cube, point: Point, box: int = 1) -> Spectrum | None:
    """Bilinear spectrum ``(band,)`` at a point in the cube's pixels, or None outside of it.

    With a `box` of n it is the mean over n x n points one pixel apart around it, of those that hold data.
    """
    starts, parts, counts = [], [], []
    for coordinate, size in zip(point, cube.shape_yx, strict=True):
        if not -0.5 <= coordinate < size - 0.5:
            return None
        inside = min(max(coordinate, 0.0), size - 1.0)
        reach = (box - 1) // 2
        start = math.floor(inside)
        part = inside - start
        low = max(start - reach, 0)
        high = min(start + reach, size - 1 if part == 0 else size - 2)
        starts.append(low)
        parts.append(part)
        counts.append(high - low + 1)
    (y, x), (rows, columns) = starts, counts
    more = [1 if part > 0 else 0 for part in parts]
    window = cube.read(View(y, y + rows + more[0], x, x + columns + more[1]))
    total: Spectrum = np.zeros((len(window), rows, columns), np.float32)
    for i, j in itertools.product(range(more[0] + 1), range(more[1] + 1)):
        weight = (parts[0] if i else 1 - parts[0]) * (parts[1] if j else 1 - parts[1])
        total += np.float32(weight) * window[:, i : i + rows, j : j + columns]
    return mean_of(total.reshape(len(total), -1))


def mean_of(spectra: Spectrum) -> Spectrum:
    """Mean ``(band,)`` of spectra ``(band, n)`` over those that hold data."""
    known = np.isfinite(spectra)
    count = np.where(known.any(1), known.sum(1), np.nan)
    return np.asarray(np.where(known, spectra, 0).sum(1, dtype=float) / count, dtype=np.float32)


def joined(x: npt.NDArray[np.float64], values: Spectrum) -> npt.NDArray[np.bool_]:
    """Whether each band ``(band,)`` joins the next in a plot: both hold data, and no stretch is left out in between."""
    steps = np.abs(np.diff(x))
    near = steps <= GAP * np.nanmedian(steps) if len(steps) > 1 else np.ones(len(steps), bool)
    finite = np.isfinite(values)
    return np.append(near & finite[:-1] & finite[1:], False)


def _of_estimate(label: str, estimate: Estimate | None, point: Point, box: int) -> Curve | None:
    """The estimate at its pixel, or over those that a box of reference pixels holds.

    Errors of neighbouring pixels go together by an unknown amount: the error bar of a mean is the mean of theirs, which
    none can exceed.
    """
    pixel = None if estimate is None else hr_index(point, estimate.grid)
    if estimate is None or pixel is None:
        return None
    pixels: Sequence[tuple[int, int]] = [pixel]
    if box > 1:
        grid, sides = estimate.grid, []
        for coordinate, origin, size in zip(point, grid.origin_yx, grid.shape, strict=True):
            first = math.ceil(float(lr_to_hr(coordinate - origin, grid.scale)) - box * grid.scale / 2)
            sides.append(range(max(first, 0), min(first + box * grid.scale, size)))
        pixels = list(itertools.product(*sides))
    found = [estimate.spectrum(*each) for each in pixels]
    values, std = (mean_of(np.stack(part, axis=1)) for part in zip(*found, strict=True))
    return Curve(label, values, std if estimate.variance is not None else None)

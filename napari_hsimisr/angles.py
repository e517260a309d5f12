"""Spectral angle maps of a result: against its own frames, another cube, or one spectrum.

Each plan is taken from the session on the GUI thread and carried out on another by `read`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from hsimisr.cube import Cube
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.physics.prediction import Prediction, predict, turned_by, unit_spectra, window_of
from hsimisr.physics.sampling import places_in_frame
from hsimisr.physics.types import Estimate, Float32, FrameMotion, SceneModel, hr_index
from napari_hsimisr.counterpart import Counterpart, counterpart_of, refined_rows, strips, usable_bands
from napari_hsimisr.maps import Map, Summary
from napari_hsimisr.session import NamedSpectrum, Session
from napari_hsimisr.view import pixel_at

Angles = npt.NDArray[np.floating]


class Against(Enum):
    """What refined spectra can be compared with."""

    FRAMES = "its frames, mean of all"
    FRAME = "its frame"
    PIN = "the pinned spectrum"
    ENTRY = "the library entry"
    CUBE = "the cube"


@dataclass(frozen=True)
class Target:
    """A choice among them: FRAME and CUBE name a layer."""

    against: Against
    layer: Image | None = None


@dataclass(frozen=True, eq=False)
class AngleMap:
    """A spectral angle map.

    Attributes:
        degrees, summary: the angles.
        against: what the refined spectra are compared with, for people.
        ratio: the angles over what is to be expected there (root mean square), or None where nothing is.
        ratios: of them.
        expected: median of what is to be expected, degrees.
        cause: what makes one expect it.
    """

    degrees: Map
    summary: Summary
    against: str
    ratio: Map | None = None
    ratios: Summary | None = None
    expected: float = math.nan
    cause: str = ""

    @classmethod
    def of(cls, angles: Map, expected: Angles | None, against: str, cause: str = "") -> AngleMap:
        """From angles and expectations ``(h, w)``, both in degrees."""
        summary = Summary.of(angles.values)
        if expected is None:
            return cls(angles, summary, against)
        known = np.isfinite(angles.values) & (expected > 0)
        ratio = np.full(expected.shape, np.nan, np.float32)
        ratio[known] = angles.values[known] / expected[known]
        where, usual = Map(ratio, angles.to_reference), Summary.of(expected[known]).median
        return cls(angles, summary, against, where, Summary.of(ratio), usual, cause)


@dataclass(frozen=True, eq=False)
class AgainstFrames:
    """Consistency: each frame against its prediction from the result, where the frame has its pixels.

    A single frame keeps its own pixels; of several, the mean is taken on those of the reference.

    Attributes:
        frames: cube and motion of each frame to compare.
    """

    estimate: Estimate
    scene: SceneModel
    frames: Sequence[tuple[Cube, FrameMotion]]
    against: str

    def read(self) -> AngleMap:
        """Read the frames; raises what reading a cube raises, StackError where none shows anything of the result."""
        view = self.estimate.grid.view
        found = []
        for cube, motion in self.frames:
            window = window_of(motion, view, cube.shape_yx)
            if window is not None:
                found.append(self._of_frame(cube, predict(self.estimate, motion, self.scene.psf, window)))
        if not found:
            raise StackError(f"{self.against}: shows nothing of the view that was refined")
        if len(self.frames) == 1:
            ((prediction, angles, expected),) = found
            where = Map.on_frame(angles, prediction.window, prediction.motion)
        else:
            angles = _mean([_on_view(prediction, angles, view) for prediction, angles, _ in found])
            expected = _mean([_on_view(prediction, expected, view) for prediction, _, expected in found])
            where = Map.on_view(angles, view)
        return AngleMap.of(where, expected, self.against, "noise")

    def _of_frame(self, cube: Cube, prediction: Prediction) -> tuple[Prediction, Angles, Angles]:
        """Angles ``(h, w)`` in the frame's window, and those that noise alone makes; NaN where nothing is compared."""
        index, v = usable_bands(self.estimate, cube), prediction.window
        angles, expected = np.full((2, *v.shape), np.nan, np.float32)
        for rows in strips(v.shape[0], v.shape[1] * len(index)):
            measured = cube.read(View(v.y0 + rows.start, v.y0 + rows.stop, v.x0, v.x1))[index]
            angles[rows], expected[rows] = prediction.angles(measured, index, rows, self.scene.noise)
        return prediction, angles, expected


@dataclass(frozen=True, eq=False)
class AgainstCube:
    """Another cube, pixel by pixel: on the HR grid, or averaged over the pixels of one on the LR grid."""

    estimate: Estimate
    other: Counterpart

    def read(self) -> AngleMap:
        """Read the cube; raises what that raises."""
        from hsimisr.metrics import spectral_angle

        estimate, step, view = self.estimate, self.other.step, self.estimate.grid.view
        index = usable_bands(estimate, self.other.cube)
        h, w = view.shape
        angles = np.full((h * step, w * step), np.nan, np.float32)
        judged = step == estimate.grid.scale and estimate.variance is not None
        expected = np.full_like(angles, np.nan) if judged else None
        for rows in strips(h, w * estimate.grid.scale**2 * len(index)):
            part = View(rows.start * step, rows.stop * step, 0, w * step)
            here = slice(part.y0, part.y1)
            refined = refined_rows(estimate, index, rows, step)
            angles[here] = spectral_angle(refined, self.other.read(part)[index])
            if expected is not None:
                expected[here] = _expected_of_bars(estimate, index, here, refined)
        where = Map.on_view(angles, view) if step == 1 else Map.on_grid(angles, estimate.grid)
        pixels = "LR pixels" if step == 1 else "HR pixels"
        return AngleMap.of(where, expected, f"{self.other.cube.name}, {pixels}", "error bars")


@dataclass(frozen=True, eq=False)
class AgainstPoint:
    """The refined spectrum of one point, given in pixels of the reference."""

    estimate: Estimate
    point: tuple[float, float]

    def read(self) -> AngleMap:
        """Compute it; raises StackError where the point lies outside of what was refined."""
        estimate, pixel = self.estimate, hr_index(self.point, self.estimate.grid)
        if pixel is None:
            raise StackError("the pinned point lies outside of what was refined: click a pixel of the refined cube")
        index = np.flatnonzero(~estimate.subspace.bad)
        target = estimate.spectrum(*pixel)[0][index]
        against = "the refined spectrum at y {:.2f}, x {:.2f}".format(*self.point)
        return AngleMap.of(_angles_to(estimate, index, target), None, against)


@dataclass(frozen=True, eq=False)
class AgainstEntry:
    """An entry of a spectral library, over the bands that it has."""

    estimate: Estimate
    entry: NamedSpectrum

    def read(self) -> AngleMap:
        """Compute it; raises StackError where the entry has too few of the bands."""
        estimate, values, name = self.estimate, self.entry.values, self.entry.name
        if len(values) != estimate.subspace.bands:
            raise StackError(f"{name}: was resampled to other bands; select it again in the Spectra dock")
        index = np.flatnonzero(~estimate.subspace.bad & np.isfinite(values) & (values != 0))
        if len(index) < 2:
            raise StackError(f"{name}: has fewer than two of the bands of the frames: select another entry")
        against = f"{name}, {len(index)} bands"
        return AngleMap.of(_angles_to(estimate, index, values[index]), None, against)


Plan = AgainstFrames | AgainstCube | AgainstPoint | AgainstEntry


def plan_angles(session: Session, target: Target) -> Plan | None:
    """Compare the session's result with a target, or None without a result.

    Raises:
        StackError: there is no such thing to compare with.
    """
    request, result = session.request, session.result
    if request is None or result is None:
        return None
    if target.against is Against.PIN:
        if session.pin is None:
            raise StackError("no spectrum is pinned: open the Spectra dock and click a pixel")
        return AgainstPoint(result.estimate, pixel_at(request.reference_layer, (0.0, *session.pin)))
    if target.against is Against.ENTRY:
        if session.entry is None:
            raise StackError("no library entry is selected: open a library in the Spectra dock and select one")
        return AgainstEntry(result.estimate, session.entry)
    if target.against is Against.CUBE:
        assert target.layer is not None
        return AgainstCube(result.estimate, counterpart_of(target.layer, request, result))
    registration = result.scene.registration
    chosen = [k for k in registration.included if target.layer in (None, request.layers[k])]
    if not chosen:
        raise StackError("this frame took no part in the last run: choose another one")
    names = "frames, mean of them" if target.layer is None else target.layer.name
    frames = [(request.cubes[k], registration.frames[k]) for k in chosen]
    return AgainstFrames(result.estimate, result.scene, frames, names)


def _angles_to(estimate: Estimate, index: npt.NDArray[np.intp], target: Float32) -> Map:
    """Angles of the refined spectra to one spectrum ``(n,)`` at the bands of `index`."""
    from hsimisr.metrics import spectral_angle

    (h, w), s = estimate.grid.view.shape, estimate.grid.scale
    angles = np.full(estimate.grid.shape, np.nan, np.float32)
    for rows in strips(h, w * s**2 * len(index)):
        refined = refined_rows(estimate, index, rows, s)
        repeated: Float32 = np.broadcast_to(target[:, None, None], refined.shape)
        angles[rows.start * s : rows.stop * s] = spectral_angle(refined, repeated)
    return Map.on_grid(angles, estimate.grid)


def _expected_of_bars(estimate: Estimate, index: npt.NDArray[np.intp], rows: slice, refined: Float32) -> Angles:
    """The angle that the error bars make of refined spectra ``(n, h, w)``, in rows of the HR grid, degrees.

    Errors along a spectrum do not turn it. Those of an eigen-image are one error in all bands.
    """
    assert estimate.variance is not None
    norm, unit = unit_spectra(refined)
    basis, variance = estimate.subspace.basis[index], estimate.variance[:, rows]
    along = np.tensordot(basis.T, unit, 1)
    power = (basis**2).sum(0)[:, None, None]
    across = (variance * (power - along**2)).sum(0)
    if estimate.residual_variance is not None:
        across += (estimate.residual_variance[index, None, None].astype(np.float32) * (1 - unit**2)).sum(0)
    return turned_by(across, norm)


def _mean(maps: Sequence[Angles]) -> Angles:
    """Mean of maps, pixel by pixel, over those that have a value."""
    values = np.stack(maps)
    seen = np.isfinite(values)
    count = np.where(seen.any(0), seen.sum(0), np.nan)
    return np.asarray(np.where(seen, values, 0).sum(0) / count, dtype=np.float32)


def _on_view(prediction: Prediction, values: Angles, view: View) -> Angles:
    """A map on a frame's window at the pixels of the reference, bilinear among the values that are there."""
    from scipy.ndimage import map_coordinates

    places = np.moveaxis(places_in_frame(prediction.motion, view) - prediction.window.origin, -1, 0)
    known = np.isfinite(values)
    total, weight = (
        map_coordinates(image, places, order=1, mode="constant", output=np.float64)
        for image in (np.where(known, values, 0), known.astype(float))
    )
    return np.asarray(np.where(weight > 0.5, total / np.maximum(weight, 0.5), np.nan), dtype=np.float32)

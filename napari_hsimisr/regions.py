"""Mean and spread of the spectra in a region: a shape of a Shapes layer, or a label of a Labels layer."""

from __future__ import annotations

from dataclasses import dataclass

import dask.array as da
import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Layer, Shapes

from hsimisr.cube import Cube
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.physics.types import Estimate
from hsimisr.spectra.moments import Moments
from hsimisr.spectra.polygon import pixels_inside
from napari_hsimisr.counterpart import refined_rows, strips
from napari_hsimisr.places import Place, Points, frame_places, place_of, place_of_grid
from napari_hsimisr.readout import BASELINE, REFINED, Curve, Readout, estimates_of
from napari_hsimisr.session import Session

ROUND = 64
"""Corners of the polygon that stands for an ellipse."""
Window = tuple[View, npt.NDArray[np.bool_]]
"""Part of an image, and which of its pixels are in the region."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A polygon with corners ``(n, 2)`` in the world."""

    name: str
    corners: Points

    def pixels(self, place: Place, shape_yx: tuple[int, int]) -> Window | None:
        """The pixels of an image whose centre lies inside, or None."""
        return pixels_inside(place.pixels(self.corners), shape_yx)


@dataclass(frozen=True, eq=False)
class Labelled:
    """The pixels ``(..., h, w)`` of a Labels layer that carry a label, on any of its planes."""

    name: str
    labels: npt.NDArray[np.integer] | da.Array
    label: int
    place: Place

    def pixels(self, place: Place, shape_yx: tuple[int, int]) -> Window | None:
        """The pixels of an image whose centre lies on such a pixel, or None."""
        labels = self.labels
        if isinstance(labels, da.Array):
            labels = labels.compute(callbacks=(), scheduler="threads")  # as cubes are read
        marked = np.asarray(labels) == self.label
        marked = marked.any(tuple(range(marked.ndim - 2)))
        found = np.argwhere(marked)
        if not len(found):
            return None
        corners = [place.pixels(self.place.world(found + offset)) for offset in ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))]
        corners.append(place.pixels(self.place.world(found + (0.5, -0.5))))  # noqa: RUF005 - a sum of arrays
        low = np.maximum(np.floor(np.min(corners, axis=(0, 1))), 0).astype(int)
        high = np.minimum(np.ceil(np.max(corners, axis=(0, 1))) + 1, shape_yx).astype(int)
        if (high <= low).any():
            return None
        view = View(int(low[0]), int(high[0]), int(low[1]), int(high[1]))
        centres = np.stack(np.mgrid[view.y0 : view.y1, view.x0 : view.x1], -1)
        y, x = np.moveaxis(np.rint(self.place.pixels(place.world(centres))).astype(int), -1, 0)
        there = (y >= 0) & (x >= 0) & (y < marked.shape[0]) & (x < marked.shape[1])
        mask = there & marked[np.where(there, y, 0), np.where(there, x, 0)]
        return (view, mask) if mask.any() else None


Region = Outline | Labelled


@dataclass(frozen=True, eq=False)
class RegionPlan:
    """A region of the refined cube, or else of the reference frame; taken on the GUI thread, read on another."""

    region: Region
    reference: Cube
    place: Place
    refined: Estimate | None
    baseline: Estimate | None
    place_of_refined: Place | None

    def read(self) -> Readout:
        """Read it; raises what reading a cube raises, and StackError where the region holds no pixel."""
        refined = self._of_estimate(self.refined, REFINED)
        baseline = self._of_estimate(self.baseline, BASELINE)
        measured = None
        found = self.region.pixels(self.place, self.reference.shape_yx)
        if found is not None and refined is None:
            measured = self._of_cube(self.reference, *found)
        if refined is None and measured is None:
            raise StackError(f"{self.region.name}: holds the centre of no pixel; draw a larger one on the frames")
        bad = self.reference.bad if refined is None or self.refined is None else self.refined.subspace.bad
        middle = (np.nan, np.nan)
        if found is not None:
            view, mask = found
            y, x = (np.argwhere(mask).mean(0) + view.origin).tolist()
            middle = (y, x)
        return Readout(middle, self.reference.wavelengths, bad | self.reference.bad, (), baseline, refined, measured)

    def _of_cube(self, cube: Cube, view: View, mask: npt.NDArray[np.bool_]) -> Curve:
        moments = Moments(cube.bands)
        for rows in strips(view.shape[0], view.shape[1] * cube.bands):
            values = cube.read(View(view.y0 + rows.start, view.y0 + rows.stop, view.x0, view.x1))
            moments.add(values[:, mask[rows]])
        return self._curve(moments, mask)

    def _of_estimate(self, estimate: Estimate | None, label: str) -> Curve | None:
        place = self.place_of_refined
        found = None if estimate is None or place is None else self.region.pixels(place, estimate.grid.shape)
        if estimate is None or found is None:
            return None
        (view, mask), s, index = found, estimate.grid.scale, np.arange(estimate.subspace.bands)
        moments, first = Moments(len(index)), view.y0 // s
        for part in strips(-(-view.y1 // s) - first, estimate.grid.shape[1] * s * len(index)):
            rows = slice(first + part.start, first + part.stop)
            top, end = max(rows.start * s, view.y0), min(rows.stop * s, view.y1)
            values = refined_rows(estimate, index, rows, s)
            values = values[:, top - rows.start * s : end - rows.start * s, view.x0 : view.x1]
            moments.add(values[:, mask[top - view.y0 : end - view.y0]])
        return self._curve(moments, mask, label)

    def _curve(self, moments: Moments, mask: npt.NDArray[np.bool_], label: str = "") -> Curve:
        mean, std = moments.mean.astype(np.float32), moments.std.astype(np.float32)
        return Curve(f"{label} · {self.region.name}" if label else self.region.name, mean, std, int(mask.sum()))


def offers_region(layer: Layer) -> bool:
    """Whether a layer is of a kind that regions are drawn in."""
    return isinstance(layer, Shapes | Labels)


def region_of(layer: Layer) -> Region:
    """The shape selected last, or drawn last, of a Shapes layer; the label selected in a Labels layer.

    Raises:
        StackError: there is none, or it encloses nothing.
    """
    if layer.multiscale:
        raise StackError(f"{layer.name}: has several resolutions; use a Labels layer with one")
    if isinstance(layer, Labels):
        label = int(layer.selected_label)
        return Labelled(f"{layer.name}, label {label}", layer.data, label, place_of(layer))
    assert isinstance(layer, Shapes)
    chosen = max(layer.selected_data, default=layer.nshapes - 1)
    if chosen < 0:
        raise StackError(f"{layer.name}: holds no shape yet; draw a polygon, rectangle or ellipse")
    kind, corners = layer.shape_type[chosen], np.asarray(layer.data[chosen], float)
    if kind in ("line", "path"):
        raise StackError(f"{layer.name}: a {kind} encloses no pixels; draw a polygon, rectangle or ellipse")
    if kind == "ellipse":  # napari keeps the corners of the rectangle around it
        angle = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)[:, None]
        centre, along, across = corners.mean(0), (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
        corners = centre + np.cos(angle) * along + np.sin(angle) * across
    world = np.array([layer.data_to_world(tuple(corner))[-2:] for corner in corners])
    name = layer.name if layer.nshapes == 1 else f"{layer.name}, {kind} {chosen + 1}"
    return Outline(name, world)


def plan_region(session: Session, layer: Layer) -> RegionPlan | None:
    """The region of a layer, or None without frames; raises as `region_of` does."""
    reference = session.reference
    if reference is None:
        return None
    frames = [(cube, place) for _, cube, place in frame_places(session, [reference])]
    if not frames:
        return None
    region, (cube, place) = region_of(layer), frames[0]
    request, (estimate, baseline) = session.request, estimates_of(session, cube)
    where = None if request is None or estimate is None else place_of_grid(estimate.grid, request.reference_layer)
    return RegionPlan(region, cube, place, estimate, baseline, where)

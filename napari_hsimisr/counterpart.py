"""Another cube of the same scene beside a result: the part of it that the result shows, on the finer common grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from hsimisr.cube import Cube
from hsimisr.errors import StackError
from hsimisr.geometry import Grid, View
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.events import Result
from napari_hsimisr.layers import cube_of
from napari_hsimisr.session import Request

STRIP = 1 << 24
"""Values that are expanded at a time."""


@dataclass(frozen=True, eq=False)
class Counterpart:
    """A cube that covers what an estimate shows.

    Attributes:
        cube: that part of it, lazy.
        step: its pixels per pixel of the reference: the estimate's scale, or 1.
        factor: takes its values to the units of the frames.
    """

    cube: Cube
    step: int
    factor: float

    def read(self, view: View | None = None, bands: slice = slice(None)) -> Float32:
        """Values ``(bands, h, w)`` in the units of the frames, NaN where there are none."""
        return self.cube.read(view, bands) * np.float32(self.factor)


def counterpart(cube: Cube, estimate: Estimate, frame: Cube) -> Counterpart:
    """Match a cube with an estimate by its size: the whole scene, or just what was refined, on the HR or LR grid.

    Args:
        frame: the reference frame, on which the estimate lies.

    Raises:
        StackError: it has other bands, or no such size.
    """
    grid, bands = estimate.grid, estimate.subspace.bands
    if cube.bands != bands:
        raise StackError(f"{cube.name} has {cube.bands} bands and the refined cube {bands}: they cannot be compared")
    (h, w), s, view = frame.shape_yx, grid.scale, grid.view
    fine = View(view.y0 * s, view.y1 * s, view.x0 * s, view.x1 * s)
    ways = [((h * s, w * s), fine, s), ((h, w), view, 1), (grid.shape, None, s), (view.shape, None, 1)]
    for size, part, step in ways:
        if cube.shape_yx == size:
            return Counterpart(cube if part is None else cube.crop(part), step, cube.scale_factor / frame.scale_factor)
    sizes = [f"{_size((h * s, w * s))} (the scene ×{s})", f"{_size((h, w))} (as the frames)"]
    if view.shape != (h, w):
        sizes.append(f"{_size(grid.shape)} (this view ×{s})")
    raise StackError(f"{cube.name} has {_size(cube.shape_yx)} pixels: choose a cube of {', '.join(sizes)}")


def counterpart_of(layer: Image, request: Request, result: Result) -> Counterpart:
    """What a layer shows of a result; raises as `counterpart` does, and where the layer holds no cube."""
    cube = cube_of(layer)
    if cube is None:
        raise StackError(f"{layer.name} holds no cube (band, y, x) any more: choose another layer")
    return counterpart(replace(cube, name=layer.name), result.estimate, request.cubes[request.reference])


def truth_of(layer: Image, request: Request, result: Result) -> Counterpart:
    """The same on the HR grid; raises StackError where the layer is on the LR grid."""
    truth, scale = counterpart_of(layer, request, result), result.estimate.grid.scale
    if truth.step != scale:
        raise StackError(f"{layer.name} has the pixels of the frames: a truth has ×{scale} as many along each side")
    return truth


def usable_bands(estimate: Estimate, cube: Cube) -> npt.NDArray[np.intp]:
    """Bands that hold data in both."""
    return np.flatnonzero(~(estimate.subspace.bad | cube.bad))


def strips(height: int, values_per_row: int) -> Iterator[slice]:
    """Rows to work on at a time, so that memory does not grow with the image."""
    rows = max(1, STRIP // max(values_per_row, 1))
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def refined_rows(estimate: Estimate, index: npt.NDArray[np.intp], rows: slice, step: int) -> Float32:
    """Bands ``(n, ...)`` of some LR rows of an estimate, on its HR grid, or (step 1) averaged over LR pixels."""
    height, s = estimate.grid.view.shape[0], estimate.grid.scale
    top, end = max(rows.start - 1, 0), min(rows.stop + 1, height)  # a row more for what lies on the LR grid
    part = Estimate(
        mean=estimate.mean[:, top * s : end * s],
        subspace=estimate.subspace,
        grid=Grid(s, estimate.grid.origin_yx, ((end - top) * s, estimate.grid.shape[1])),
        residual=None if estimate.residual is None else estimate.residual[:, top:end],
        measured=None if estimate.measured is None else estimate.measured[top:end],
    )
    bands = part.bands(index)[:, (rows.start - top) * s : (rows.stop - top) * s]
    if step == s:
        return bands
    n, h, w = bands.shape
    return np.asarray(bands.reshape(n, h // s, s, w // s, s).mean((2, 4)), dtype=np.float32)


def _size(shape_yx: tuple[int, int]) -> str:
    return f"{shape_yx[0]} x {shape_yx[1]}"

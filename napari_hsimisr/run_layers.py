"""The layers of a comparison of two runs: a band of each, exactly on its reference, and the divider between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer, Vectors

from hsimisr.geometry import Grid
from hsimisr.physics.types import Float32
from napari_hsimisr.history import Run
from napari_hsimisr.inspection_layers import InspectionLayers
from napari_hsimisr.layers import PRODUCT, plane_to_world
from napari_hsimisr.overlays import REFINED

A, B, DIVIDER = "run A", "run B", "divider"
DIVIDER_COLOUR = "#ffd33d"
LINKED = ("contrast_limits", "gamma", "colormap")


@dataclass(frozen=True, eq=False)
class Extent:
    """What two runs cover together, in pixels of the reference of run A: rows and columns, pixel edges at halves."""

    reference: Image
    top: float
    bottom: float
    left: float
    right: float

    def column(self, share: float) -> float:
        """The column of the reference at which the divider stands."""
        return self.left + share * (self.right - self.left)

    def share_at(self, viewer: ViewerModel, world: tuple[float, float]) -> float:
        """Where a world position lies between the left end and the right."""
        point = [*viewer.dims.point[:-2], *world]
        return (float(self.reference.world_to_data(point)[-1]) - self.left) / (self.right - self.left)

    def width_on(self, viewer: ViewerModel) -> float:
        """How wide it is on the canvas, in pixels of the screen."""
        to_world = plane_to_world(self.reference)
        return float(np.hypot(*(to_world[:2, 1] * (self.right - self.left)))) * float(viewer.scene.camera.zoom)


class RunLayers(InspectionLayers):
    """The three layers, made once and changed in place."""

    def show(self, runs: tuple[Run, Run], images: tuple[Float32, Float32], share: float | None) -> None:
        """Show one band ``(H, W)`` of both, whole or (with a share) A to the left of the divider and B to its right."""
        extent, to_world = self.extent(runs), plane_to_world(runs[0].request.reference_layer)
        column = None if share is None else extent.column(share)
        for kind, run, image in zip((A, B), runs, images, strict=True):
            own = plane_to_world(run.request.reference_layer)
            cut = None if column is None else _in_own_pixels(own, to_world, extent.top, column)
            part, affine = _cut(image, run.result.estimate.grid, cut, left=kind == A)
            self._show_image(kind, run, part, own @ affine)
        if share is None:
            self.remove(DIVIDER)
        else:
            self._show_divider(extent, extent.column(share), to_world)

    def extent(self, runs: tuple[Run, Run]) -> Extent:
        """What the runs cover together."""
        reference = runs[0].request.reference_layer
        back = np.linalg.inv(plane_to_world(reference))
        corners = np.concatenate(
            [back @ plane_to_world(run.request.reference_layer) @ _corners(run.result.estimate.grid) for run in runs],
            axis=1,
        )
        (top, left, _), (bottom, right, _) = corners.min(1), corners.max(1)
        return Extent(reference, float(top), float(bottom), float(left), float(right))

    def pair(self) -> tuple[Image, Image] | None:
        """The layers of A and B, where both are there."""
        a, b = self.find(A), self.find(B)
        return (a, b) if isinstance(a, Image) and isinstance(b, Image) else None

    def owns(self, layer: Layer) -> bool:
        """Whether a layer is one of these."""
        return layer.metadata.get(PRODUCT) in (A, B, DIVIDER)

    def _show_image(self, kind: str, run: Run, image: Float32, affine: npt.NDArray[np.float64]) -> None:
        layer, name = self.find(kind), f"{kind[-1]}: {run.name}"
        if isinstance(layer, Image):
            layer.data, layer.affine, layer.name = image, affine, name
            return
        seen = self.find(REFINED)
        looks = seen if isinstance(seen, Image) else run.request.reference_layer
        layer = Image(
            image,
            affine=affine,
            colormap=looks.colormap.name,
            contrast_limits=looks.contrast_limits,
            **_common(kind, name, run.request.reference_layer),
        )
        self._add(layer)
        if (pair := self.pair()) is not None:
            self._viewer.layers.link_layers(pair, LINKED)

    def _show_divider(self, extent: Extent, column: float, to_world: npt.NDArray[np.float64]) -> None:
        line = np.array([[[extent.top, column], [extent.bottom - extent.top, 0.0]]])
        layer = self.find(DIVIDER)
        if isinstance(layer, Vectors):
            layer.data = line
            return
        looks = _common(DIVIDER, DIVIDER, extent.reference)
        width = (extent.bottom - extent.top) / 250
        self._add(
            Vectors(line, affine=to_world, edge_color=DIVIDER_COLOUR, edge_width=width, vector_style="line", **looks)
        )


def _cut(image: Float32, grid: Grid, column: float | None, *, left: bool) -> tuple[Float32, npt.NDArray[np.float64]]:
    """What is left or right of a column of the reference, a pixel at least, and its place in reference pixels."""
    width, start = image.shape[1], 0
    if column is not None and width > 1:
        at = round((column + 0.5 - grid.origin_yx[1]) * grid.scale)
        at = min(max(at, 1), width - 1)
        image, start = (image[:, :at], 0) if left else (image[:, at:], at)
    y, x = grid.layer_translate()
    step = 1 / grid.scale
    return image, np.array([[step, 0.0, y], [0.0, step, x + start * step], [0.0, 0.0, 1.0]])


def _in_own_pixels(own: npt.NDArray[np.float64], other: npt.NDArray[np.float64], row: float, column: float) -> float:
    """A column of one reference in pixels of another one."""
    return float((np.linalg.inv(own) @ other @ (row, column, 1.0))[1])


def _corners(grid: Grid) -> npt.NDArray[np.float64]:
    """Outer corners ``(3, 4)`` of a grid in reference pixels."""
    view = grid.view
    points = [(y - 0.5, x - 0.5, 1.0) for y in (view.y0, view.y1) for x in (view.x0, view.x1)]
    return np.array(points).T


def _common(kind: str, name: str, reference: Image) -> dict[str, Any]:
    return {
        "name": name,
        "metadata": {PRODUCT: kind},
        "units": reference.units[-2:],
        "axis_labels": reference.axis_labels[-2:],
    }

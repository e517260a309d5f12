"""Cubes as colour pictures on the canvas: made in the background, exactly on their cubes, which they follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from hsimisr.composite import TRUE_COLOUR, Choice, Picture, bands_at, bands_numbered, render, stretch
from hsimisr.cube import Cube
from hsimisr.errors import ReadError
from hsimisr.io.assemble import DAMAGED
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.layers import PRODUCT, cube_of, is_frame, plane_to_world
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.session import Session

COLOUR = "colour"
REST_MS = 40
PERCENT = 2.0


@dataclass(frozen=True)
class Wanted:
    """Which bands to show, and how.

    Attributes:
        nm: wavelengths of red, green and blue, nanometres.
        numbers: band numbers for cubes without wavelengths, or None for some that are spread over the cube.
        percent: how many of the darkest and of the brightest pixels may lose their detail.
        together: see `hsimisr.composite.stretch`; without wavelengths no colours are true, and each band is stretched
            by itself.
    """

    nm: tuple[float, float, float] = TRUE_COLOUR.nm
    numbers: tuple[int, int, int] | None = None
    percent: float = PERCENT
    together: bool = TRUE_COLOUR.together

    def of(self, cube: Cube) -> Choice:
        """The bands of a cube."""
        if cube.wavelengths is None and self.numbers is not None:
            return bands_numbered(cube, self.numbers)
        return bands_at(cube, self.nm)


@dataclass(frozen=True, eq=False)
class _Task:
    """One picture to make; `measured` is the cube whose contrast it gets."""

    layer: Image
    cube: Cube
    measured: Cube


@dataclass(frozen=True, eq=False)
class _Plan:
    """What to read: taken from the layers on the GUI thread, carried out on another by `read`."""

    tasks: tuple[_Task, ...]
    wanted: Wanted
    stopped: Event

    def read(self) -> list[tuple[_Task, Picture]]:
        """Raises ReadError that names the cube, and Cancelled."""
        return [(task, self._picture(task)) for task in self.tasks]

    def _picture(self, task: _Task) -> Picture:
        wanted, cube, measured = self.wanted, task.cube, task.measured
        together = wanted.together and cube.wavelengths is not None
        try:
            limits = stretch(measured, wanted.of(measured).bands, wanted.percent, together)
            return render(cube, wanted.of(cube).bands, limits, self.stopped.is_set)
        except DAMAGED as error:
            raise ReadError(f"{task.layer.name}: its bands cannot be read ({error}); choose others") from error


class Colour(QObject):
    """Draws the cubes that are to be seen in colour, and keeps the pictures up to date.

    `failed` tells why there is nothing to see, `dropped` that a person has deleted a picture or its cube, `drawn` that
    the pictures are those that were asked for last.
    """

    failed = Signal(str)
    dropped = Signal()
    drawn = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.wanted = Wanted()
        self._pictures: dict[Image, Image | None] = {}
        self._steps: dict[Image, int] = {}
        self._stopped = Event()
        self._reader = LatestRead()
        self._reader.done.connect(self._show)
        self._reader.failed.connect(self.failed)
        self._soon = QTimer(self, singleShot=True, interval=REST_MS)
        self._soon.timeout.connect(self._request)
        self._layers = session.viewer.layers
        self._layers.events.removed.connect(self._notice_removal)

    def shows(self, layer: Image | None) -> bool:
        """Whether a cube is to be seen in colour."""
        return layer in self._pictures

    def picture_of(self, layer: Image) -> Image | None:
        """The layer with the picture of a cube, or None."""
        return self._pictures.get(layer)

    def show(self, layer: Image, shown: bool) -> None:
        """Show a cube in colour, or do not."""
        if shown == self.shows(layer):
            return
        if shown:
            self._pictures[layer] = None
            layer.events.data.connect(self._data_changed)
            for moved in _placements(layer):
                moved.connect(self._follow)
            self.refresh()
        else:
            self._forget(layer)

    def ask(self, wanted: Wanted) -> None:
        """Choose bands and contrast of all pictures."""
        self.wanted = wanted
        self.refresh()

    def refresh(self) -> None:
        """Draw anew, as soon as nothing changes any more."""
        self._soon.start()

    def close(self) -> None:
        """Take the pictures away."""
        self._soon.stop()
        self._stopped.set()
        self._reader.close()
        self._layers.events.removed.disconnect(self._notice_removal)
        for layer in list(self._pictures):
            self._forget(layer)

    def _request(self) -> None:
        self._stopped.set()  # what is being read is not wanted any more
        self._stopped = Event()
        tasks = []
        for layer in self._pictures:
            cube = cube_of(layer)
            if cube is not None:
                tasks.append(_Task(layer, cube, self._measured(layer, cube)))
        if tasks:
            self._reader.request(_Plan(tuple(tasks), self.wanted, self._stopped).read)

    def _measured(self, layer: Image, cube: Cube) -> Cube:
        """A refined cube gets the contrast of the frame on which it lies, so that the two can be compared."""
        request = self._session.request
        if layer.metadata.get(PRODUCT) != REFINED or request is None:
            return cube
        return request.cubes[request.reference]

    def _show(self, made: Sequence[tuple[_Task, Picture]]) -> None:
        for task, picture in made:
            if task.layer in self._pictures:
                self._draw(task.layer, picture)
        self.drawn.emit()

    def _draw(self, source: Image, picture: Picture) -> None:
        affine = _affine(source, picture.step)
        layer = self._pictures[source]
        self._steps[source] = picture.step
        if layer is not None:
            layer.data = picture.image
            _move(layer, affine)
            return
        layer = Image(
            picture.image,
            rgb=True,
            name=f"{COLOUR}: {source.name}",
            metadata={PRODUCT: COLOUR},
            affine=affine,
            units=source.units[-2:],
            axis_labels=source.axis_labels[-2:],
        )
        selected = self._layers.selection.active
        self._layers.insert(self._layers.index(source) + 1, layer)
        self._pictures[source] = layer
        if selected is not None:
            self._layers.selection.active = selected

    def _data_changed(self) -> None:
        self.refresh()

    def _follow(self) -> None:
        """Put the pictures on their cubes again, after those have moved."""
        for source, layer in self._pictures.items():
            if layer is not None:
                _move(layer, _affine(source, self._steps[source]))

    def _notice_removal(self, event: Any) -> None:
        gone = event.value
        for source, layer in list(self._pictures.items()):
            if gone is source or gone is layer:
                self._forget(source)
                self.dropped.emit()

    def _forget(self, source: Image) -> None:
        layer = self._pictures.pop(source)
        source.events.data.disconnect(self._data_changed)
        for moved in _placements(source):
            moved.disconnect(self._follow)
        if layer is not None and layer in self._layers:
            self._layers.remove(layer)


def can_be_coloured(layer: object) -> bool:
    """Whether a layer is a frame or a refined cube."""
    return is_frame(layer) or (isinstance(layer, Image) and layer.metadata.get(PRODUCT) == REFINED)


def _placements(layer: Image) -> tuple[Any, ...]:
    events = layer.events
    return events.affine, events.scale, events.translate, events.rotate, events.shear


def _affine(source: Image, step: int) -> npt.NDArray[np.float64]:
    """Where the pixels of a picture lie, of every `step`-th pixel of its cube."""
    thinned = np.diag([float(step), float(step), 1.0])
    thinned[:2, 2] = step // 2
    return plane_to_world(source) @ thinned


def _move(layer: Image, affine: npt.NDArray[np.float64]) -> None:
    if not np.allclose(layer.affine.affine_matrix, affine, rtol=0, atol=1e-12):  # setting it redraws the layer
        layer.affine = affine

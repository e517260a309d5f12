"""Reads what the Spectra dock shows and keeps it up to date: pins, region, library, preview; all in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Layer, Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from hsimisr.errors import HsimisrError
from hsimisr.spectra.library import SpectralLibrary
from hsimisr.spectra.open import open_library
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.curves import Drawn, Reading, ReadingPlan, Way
from napari_hsimisr.layers import cube_of
from napari_hsimisr.pins import World
from napari_hsimisr.readout import Readout, plan_readout
from napari_hsimisr.regions import plan_region
from napari_hsimisr.session import Session
from napari_hsimisr.spectra_table import write_table

REST_MS = 25
"""Between two reads under a moving mouse."""
MOVES = ("data", "scale", "translate", "rotate", "shear", "affine")
"""Events of a layer after which a region holds other pixels."""


class Spectra(QObject):
    """Reads what was asked for; of requests made meanwhile the latest wins.

    `told` carries a `Reading`, `previewed` a `Readout` or None, `opened` a `SpectralLibrary` or None, `saved` a path;
    `failed` says why something could not be had.
    """

    told = Signal(object)
    previewed = Signal(object)
    opened = Signal(object)
    saved = Signal(object)
    failed = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.box = 1
        self._region: Layer | None = None
        self._region_events: list[Any] = []
        self.library: SpectralLibrary | None = None
        self.entries: frozenset[int] = frozenset()
        self._hovered: World | None = None
        self._reader, self._under_mouse = LatestRead(), LatestRead()
        self._libraries, self._tables = LatestRead(), LatestRead()  # neither takes the place of the other
        self._reader.done.connect(self.told)
        self._reader.failed.connect(self.failed)
        self._under_mouse.done.connect(self._preview)
        for files in (self._libraries, self._tables):
            files.done.connect(self._take_file)
            files.failed.connect(self.failed)
        self._soon = QTimer(self, singleShot=True, interval=REST_MS)
        self._soon.timeout.connect(self._read_under_mouse)

    def refresh(self) -> None:
        """Read everything that is shown anew."""
        pins = self._session.pins
        plans = []
        for pin in sorted(pins.all, key=lambda pin: pin is pins.current):  # the current one last
            plan = plan_readout(self._session, pin.world, self.box, brief=pin is not pins.current)
            if plan is not None:
                plans.append((pin, plan))
        region, problem = None, ""
        try:
            region = None if self._region is None else plan_region(self._session, self._region)
        except HsimisrError as error:
            problem = str(error)
        plan = ReadingPlan(tuple(plans), region, self.library, self._fwhm(), self.entries, self.box, problem)
        self._reader.request(plan.read)

    def choose_region(self, layer: Layer | None) -> None:
        """Read the region of a layer from now on, also when it is drawn or placed anew; None for no region."""
        for event in self._region_events:
            event.disconnect(self.refresh)
        self._region = layer
        self._region_events = [] if layer is None else [layer.events[name] for name in MOVES]
        if isinstance(layer, Labels):
            self._region_events += [layer.events.paint, layer.events.selected_label]
        elif isinstance(layer, Shapes):
            self._region_events.append(layer.selected_data.events.items_changed)
        for event in self._region_events:
            event.connect(self.refresh)

    def hover(self, world: World) -> None:
        """Show what is under the mouse, soon."""
        self._hovered = world
        if not self._soon.isActive():
            self._soon.start()

    def leave(self) -> None:
        """Show no preview any more."""
        self._soon.stop()
        if self._hovered is not None:
            self._hovered = None
            self.previewed.emit(None)

    def open_library(self, path: Path) -> None:
        """Read a spectral library."""
        self._libraries.request(lambda: open_library(path))

    def close_library(self) -> None:
        """Compare with no library any more."""
        self._take_library(None)

    def save_table(self, path: Path, reading: Reading, drawn: list[Drawn], way: Way) -> None:
        """Write what is drawn as CSV."""
        self._tables.request(lambda: write_table(path, reading, drawn, way))

    def close(self) -> None:
        """Stop reading."""
        self._soon.stop()
        self.choose_region(None)
        for reader in (self._reader, self._under_mouse, self._libraries, self._tables):
            reader.close()

    def _fwhm(self) -> npt.NDArray[np.float64] | None:
        cube = cube_of(self._session.reference)
        return None if cube is None else cube.fwhm

    def _read_under_mouse(self) -> None:
        plan = None if self._hovered is None else plan_readout(self._session, self._hovered, self.box, brief=True)
        if plan is not None:
            self._under_mouse.request(plan.read)

    def _preview(self, readout: Readout) -> None:
        if self._hovered is not None:  # else the mouse has left meanwhile
            self.previewed.emit(readout if readout.main is not None else None)

    def _take_file(self, done: SpectralLibrary | Path) -> None:
        if isinstance(done, SpectralLibrary):
            self._take_library(done)
        else:
            self.saved.emit(done)

    def _take_library(self, library: SpectralLibrary | None) -> None:
        self.library, self.entries = library, frozenset()
        self.opened.emit(library)
        self.refresh()

"""The Spectra dock: click pixels, see what every frame, the baseline, the refined cube and a library say about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QDockWidget, QFileDialog, QHBoxLayout, QMainWindow, QVBoxLayout

from hsimisr.spectra.library import SpectralLibrary
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.curves import Reading, Way, curves_of, shown_as
from napari_hsimisr.layers import cube_of
from napari_hsimisr.picking import Hover, Picker
from napari_hsimisr.pin_marks import PinMarks
from napari_hsimisr.pins import World
from napari_hsimisr.readout import Readout
from napari_hsimisr.regions import offers_region
from napari_hsimisr.session import NamedSpectrum, Status
from napari_hsimisr.spectra import Spectra
from napari_hsimisr.widgets.library_panel import LibraryPanel
from napari_hsimisr.widgets.placing import PlacedWidget
from napari_hsimisr.widgets.spectra_plot import SpectraPlot
from napari_hsimisr.widgets.spectra_tools import SpectraTools
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

HINT = "Click a pixel of the image to see its spectra, Shift + click for more; a click in the legend hides a curve."
NO_BASELINE = "there is no bicubic cube to compare with yet: refine first"
LIBRARIES = "Spectral libraries (*.sli *.hdr *.txt *.asc *.csv *.tsv)"
UNITS = {
    Way.VALUES: "file's units",
    Way.DIFFERENCE: "minus bicubic",
    Way.RATIO: "over bicubic",
    Way.CONTINUUM: "over its continuum",
}


class SpectraWidget(PlacedWidget):
    """Plots the spectra at the pins; a click in the legend hides a curve, the dashed line is the band shown."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.reading = Reading()
        self.spectra = Spectra(self.session)
        self._draw()
        self.marks = PinMarks(napari_viewer)
        self._picker = Picker(napari_viewer, self.session.pins.move, self.session.pins.collect)
        self._hover = Hover(napari_viewer, self._follow_mouse, self.spectra.leave)
        self._connect_parts()

        session, layers = self.session, napari_viewer.layers.events
        connect(self, session.pin_changed, self._follow_pins)
        for changed in (session.estimate_changed, session.motions_changed, session.frames_changed):
            connect(self, changed, self.refresh)
        connect(self, napari_viewer.dims.events.current_step, self._follow_slider)
        for changed in (layers.inserted, layers.removed):
            connect(self, changed, self._follow_layers)
        self.destroyed.connect(self.spectra.close)
        self.destroyed.connect(self._picker.close)
        self.destroyed.connect(self._hover.close)
        self._offer_regions()
        self._follow_pins()

    @property
    def readout(self) -> Readout | None:
        """What the current pin shows."""
        return self.reading.current

    @property
    def way(self) -> Way:
        """What is drawn of each spectrum."""
        return Way(self.tools.way.currentData())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide and low: the image needs the height."""
        return QSize(700, 290)

    def find_place(self) -> None:
        """Go below the image: napari opens docks on the right, too narrow for a plot."""
        dock, window = self.parentWidget(), self.window()
        below = Qt.DockWidgetArea.BottomDockWidgetArea
        if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        if window.dockWidgetArea(dock) != below:
            window.addDockWidget(below, dock)

    def refresh(self) -> None:
        """Read everything anew, off the GUI thread."""
        self.spectra.refresh()

    def save(self, path: Path) -> None:
        """Save what is drawn: a table, or a picture where the path ends in .png or .svg."""
        if path.suffix.lower() not in (".png", ".svg"):
            self.spectra.save_table(path, self.reading, self.plot.visible, self.way)
            return
        try:
            self.plot.save_picture(path)
        except OSError as error:
            self._fail(f"{path}: cannot be written: {error.strerror or error}; choose another folder")
        else:
            self._tell_saved(path)

    def _follow_pins(self) -> None:
        reference = self.session.reference
        if reference is not None:
            self.marks.show(self.session.pins.all, reference)
        self.tools.offer_pins()
        self.refresh()

    def _follow_mouse(self, world: World) -> None:
        if self.tools.hover.isChecked():
            self.spectra.hover(world)

    def _choose(self) -> None:
        self.spectra.choose_region(self.tools.region.currentData())
        self.spectra.box = self.tools.box.currentData()
        self.refresh()

    def _follow_layers(self, event: Any) -> None:
        if event.type == "inserted" and isinstance(event.value, Image):
            self.marks.raise_()
        self._offer_regions()

    def _offer_regions(self) -> None:
        self.tools.offer_regions([layer for layer in self._viewer.layers if offers_region(layer)])

    def _show(self, reading: Reading) -> None:
        self.reading = reading
        drawn = curves_of(reading, self.way, self.spectra.entries)
        self.plot.show_curves(drawn, reading.base, UNITS[self.way])
        self.panel.show_found(reading.found, self.spectra.entries)
        self._follow_slider()
        missing = self.way in (Way.DIFFERENCE, Way.RATIO) and reading.base is not None and not drawn
        text = reading.problem or (NO_BASELINE if missing else self._summary(reading))
        self.status.show_status(Status(text, error=bool(reading.problem)))

    def _summary(self, reading: Reading) -> str:
        if reading.base is None:
            return HINT
        parts = []
        if reading.pins:
            (pin, readout), box = reading.pins[-1], reading.box
            parts.append("{}  reference pixel y {:.2f}, x {:.2f}".format(pin.name, *readout.point))
            if box > 1:
                parts[0] += f", mean of {box} × {box} pixels"
            parts += [f"spectral angle to {other.name}: {angle:.2f}°" for other, angle in reading.angles()]
        if reading.region is not None and reading.region.main is not None:
            parts.append(f"region: {reading.region.main.count} pixels")
        if self.spectra.library is not None and not reading.found:
            parts.append("the library has none of these bands")
        return "   ·   ".join([*parts, "shaded: bands without usable data"])

    def _preview(self, readout: Readout | None) -> None:
        main = None if readout is None else readout.main
        if readout is None or main is None:
            self.plot.show_preview(None, np.zeros(0))
        else:
            self.plot.show_preview(shown_as(self.way, main, readout.baseline, readout.positions), readout.positions)

    def _take_library(self, library: SpectralLibrary | None) -> None:
        self.panel.setVisible(library is not None)
        self.session.set_entry(None)
        if library is not None:
            self.panel.title.setText(f"{Path(library.source).name}: {len(library)} entries")

    def _tick(self, entries: frozenset[int]) -> None:
        self.spectra.entries = entries
        self._show(self.reading)

    def _aim(self, entry: int) -> None:
        """Let the Quality dock compare with an entry."""
        for found in self.reading.found:
            if found.entry == entry:
                self.session.set_entry(NamedSpectrum(found.name, found.curve.values))

    def _fail(self, text: str) -> None:
        self.status.show_status(Status(text, error=True))

    def _tell_saved(self, path: Path) -> None:
        self.status.show_status(Status(f"saved {path}"))

    def _ask_for_library(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a spectral library", str(self._folder()), LIBRARIES)
        if path:
            self.spectra.open_library(Path(path))

    def _ask_where_to_save(self, suffix: str) -> None:
        start = str(self._folder() / f"spectra.{suffix}")
        path, _ = QFileDialog.getSaveFileName(self, "Save the spectra", start, f"*.{suffix}")
        if path:
            self.save(Path(path) if Path(path).suffix else Path(path).with_suffix(f".{suffix}"))

    def _folder(self) -> Path:
        """Where the reference's file is."""
        cube = cube_of(self.session.reference)
        return Path.home() if cube is None or cube.source is None else Path(cube.source.path).parent

    def _follow_slider(self) -> None:
        cube, band = cube_of(self.session.reference), self._viewer.dims.current_step[0]
        if cube is not None and 0 <= band < cube.bands:
            self.plot.move_band_line(float(band) if cube.wavelengths is None else float(cube.wavelengths[band]))

    def _move_slider(self) -> None:
        cube = cube_of(self.session.reference)
        if cube is not None:
            x = np.arange(cube.bands) if cube.wavelengths is None else cube.wavelengths
            self._viewer.dims.set_current_step(0, int(np.argmin(np.abs(x - self.plot.band_line.value()))))

    def _connect_parts(self) -> None:
        spectra, tools, panel = self.spectra, self.tools, self.panel
        spectra.told.connect(self._show)
        spectra.previewed.connect(self._preview)
        spectra.opened.connect(self._take_library)
        spectra.saved.connect(self._tell_saved)
        spectra.failed.connect(self._fail)
        tools.changed.connect(self._choose)
        tools.save_asked.connect(self._ask_where_to_save)
        tools.library.clicked.connect(self._ask_for_library)
        tools.hover.toggled.connect(spectra.leave)
        panel.ticked.connect(self._tick)
        panel.selected.connect(self._aim)
        panel.closed.connect(spectra.close_library)
        self.plot.band_line.sigPositionChanged.connect(self._move_slider)

    def _draw(self) -> None:
        self.tools = SpectraTools(self.session.pins)
        self.plot = SpectraPlot(self._viewer.theme)
        self.panel = LibraryPanel()
        self.panel.hide()
        self.status = StatusLine(HINT)
        middle = QHBoxLayout()
        middle.addWidget(self.plot, 1)
        middle.addWidget(self.panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tools)
        layout.addLayout(middle, 1)
        layout.addWidget(self.status)

"""The Spectra dock: click a pixel, see what every frame, the baseline and the refined cube say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.utils.theme import get_theme
from qtpy.QtCore import QSignalBlocker, QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # picks the Qt that is loaded already, so qtpy comes first

from napari_hsimisr.app import connect, join_session
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.layers import cube_of
from napari_hsimisr.picking import Picker, Pin
from napari_hsimisr.readout import Curve, Readout, joined, plan_readout

if TYPE_CHECKING:
    import napari

FRAME_COLOURS = ("#4c78a8", "#72b7b2", "#54a24b", "#9d755d", "#b279a2", "#8a9a5b", "#6f8fbf", "#a0cbe8")
FRAME, BASELINE, REFINED = "frame", "baseline", "refined"
COLOURS = {BASELINE: "#f2a541", REFINED: "#ff4f58"}


class SpectraWidget(QWidget):
    """Plots the spectra at the pin; a click in the legend hides a curve, the dashed line is the band shown."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.readout: Readout | None = None
        self._placed = False
        self._reader = LatestRead()
        self._lines: dict[str, pg.PlotDataItem] = {}
        self._error_bands: list[pg.FillBetweenItem] = []
        self._gaps: list[pg.LinearRegionItem] = []
        self._draw()

        self._pin = Pin(napari_viewer)
        self._picker = Picker(napari_viewer, self.session.set_pin)
        self._reader.done.connect(self.show_readout)
        self._reader.failed.connect(self.where.setText)
        connect(self, self.session.pin_changed, self._mark)
        connect(self, self.session.estimate_changed, self.refresh)
        connect(self, self.session.motions_changed, self.refresh)
        connect(self, self.session.frames_changed, self.refresh)
        connect(self, napari_viewer.dims.events.current_step, self._follow_slider)
        self.band_line.sigPositionChanged.connect(self._move_slider)
        self.destroyed.connect(self._reader.close)
        self.destroyed.connect(self._picker.close)
        self.refresh()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide and low: the image needs the height."""
        return QSize(700, 290)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Go below the image when shown first: napari opens docks on the right, too narrow for a plot."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._go_below)

    def _go_below(self) -> None:
        dock, window = self.parentWidget(), self.window()
        if isinstance(dock, QDockWidget) and isinstance(window, QMainWindow) and not dock.isFloating():
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)

    def refresh(self) -> None:
        """Read the spectra at the pin anew, off the GUI thread."""
        plan = plan_readout(self.session)
        if plan is not None:
            self._reader.request(plan.read)

    def show_readout(self, readout: Readout) -> None:
        """Draw the curves of one point."""
        self.readout = readout
        drawn = [*((curve, FRAME) for curve in readout.frames)]
        drawn += [(curve, BASELINE) for curve in (readout.baseline,) if curve is not None]
        drawn += [(curve, REFINED) for curve in (readout.refined,) if curve is not None]
        if [curve.label for curve, _ in drawn] != list(self._lines):
            self._start_over(drawn)
        x = np.arange(len(readout.bad), dtype=float) if readout.wavelengths is None else readout.wavelengths
        for curve, _ in drawn:
            self._lines[curve.label].setData(x, curve.values, connect=joined(x, curve.values))
        self._draw_error_band(x, readout.refined)
        self._shade_gaps(x, readout.bad)
        self.plot.setLabel("bottom", "band" if readout.wavelengths is None else "wavelength (nm)")
        self._follow_slider()
        self.where.setText(
            "reference pixel  y {:.2f}, x {:.2f}   ·   shaded: bands without usable data".format(*readout.point)
        )

    def _mark(self) -> None:
        if self.session.pin is not None and self.session.reference is not None:
            self._pin.show(self.session.pin, self.session.reference)
        self.refresh()

    def _start_over(self, drawn: list[tuple[Curve, str]]) -> None:
        """New lines for new names; curves that were hidden stay hidden."""
        self._remove_error_bands()  # before the line that they belong to: Qt deletes children with their parent
        hidden = {name for name, line in self._lines.items() if not line.isVisible()}
        for line in self._lines.values():
            self.plot.removeItem(line)
        self.legend.clear()
        self._lines = {}
        for number, (curve, kind) in enumerate(drawn):
            line = pg.PlotDataItem(pen=_pen(kind, number))
            line.setVisible(curve.label not in hidden)
            self.plot.addItem(line)
            self.legend.addItem(line, curve.label if curve.std is None else f"{curve.label} ± 1 σ")
            self._lines[curve.label] = line

    def _draw_error_band(self, x: npt.NDArray[np.float64], refined: Curve | None) -> None:
        self._remove_error_bands()
        if refined is None or refined.std is None:
            return
        for links in _runs(joined(x, refined.values + refined.std)):
            run = slice(links.start, links.stop + 1)
            low, high = (pg.PlotCurveItem(x[run], (refined.values + sign * refined.std)[run]) for sign in (-1, 1))
            band = pg.FillBetweenItem(low, high, brush=pg.mkBrush(COLOURS[REFINED] + "50"))
            band.setParentItem(self._lines[refined.label])  # hides with its curve
            band.setZValue(-1)
            self._error_bands.append(band)

    def _remove_error_bands(self) -> None:
        for band in self._error_bands:
            band.setParentItem(None)
            self.plot.scene().removeItem(band)
        self._error_bands = []

    def _shade_gaps(self, x: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_]) -> None:
        for gap in self._gaps:
            self.plot.removeItem(gap)
        self._gaps = []
        edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
        for run in _runs(bad):
            gap = pg.LinearRegionItem(
                (edges[run.start], edges[run.stop]),
                movable=False,
                brush=pg.mkBrush(128, 128, 128, 40),
                pen=pg.mkPen(None),
            )
            gap.setZValue(-10)
            self.plot.addItem(gap, ignoreBounds=True)
            self._gaps.append(gap)

    def _position_of_band(self, band: int) -> float | None:
        reference = self.session.reference
        cube = None if reference is None else cube_of(reference)
        if cube is None or not 0 <= band < cube.bands:
            return None
        return float(band) if cube.wavelengths is None else float(cube.wavelengths[band])

    def _follow_slider(self) -> None:
        position = self._position_of_band(self._viewer.dims.current_step[0])
        if position is not None:
            with QSignalBlocker(self.band_line):
                self.band_line.setValue(position)

    def _move_slider(self) -> None:
        reference = self.session.reference
        cube = None if reference is None else cube_of(reference)
        if cube is None:
            return
        x = np.arange(cube.bands) if cube.wavelengths is None else cube.wavelengths
        self._viewer.dims.set_current_step(0, int(np.argmin(np.abs(x - self.band_line.value()))))

    def _draw(self) -> None:
        theme = get_theme(self._viewer.theme)
        text = theme.text.as_hex()
        canvas = pg.GraphicsLayoutWidget()
        canvas.setBackground(theme.background.as_hex())
        self.plot = canvas.addPlot(row=0, col=0)
        self.legend = pg.LegendItem(labelTextColor=text, labelTextSize="9pt", verSpacing=-8)
        canvas.ci.addItem(self.legend, row=0, col=1)
        canvas.ci.layout.setColumnStretchFactor(0, 1)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(text)
            axis.setTextPen(text)
        self.plot.setLabel("left", "value (file's units)")
        self.plot.setLabel("bottom", "wavelength (nm)")
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self.plot.getViewBox().setDefaultPadding(0.08)  # room for the error band
        self.band_line = pg.InfiniteLine(movable=True, pen=pg.mkPen(text, width=1, style=Qt.PenStyle.DashLine))
        self.plot.addItem(self.band_line, ignoreBounds=True)
        self.where = QLabel(
            "Click a pixel of the image to see its spectra; click a name in the legend to hide its curve.",
            wordWrap=True,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(canvas, 1)
        layout.addWidget(self.where)


def _pen(kind: str, number: int) -> object:
    if kind == FRAME:
        return pg.mkPen(FRAME_COLOURS[number % len(FRAME_COLOURS)] + "b0", width=1)
    if kind == BASELINE:
        return pg.mkPen(COLOURS[BASELINE], width=1.5, style=Qt.PenStyle.DashLine)
    return pg.mkPen(COLOURS[REFINED], width=2)


def _runs(mask: npt.NDArray[np.bool_]) -> list[slice]:
    """The stretches of True in a mask."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [slice(int(start), int(stop)) for start, stop in zip(steps[::2], steps[1::2], strict=True)]

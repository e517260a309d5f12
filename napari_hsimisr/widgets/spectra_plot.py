"""The plot of the Spectra dock: curves with error bands, gaps, a legend that hides, a marker of the band shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from napari.utils.theme import get_theme
from qtpy.QtCore import QRectF, QSignalBlocker, Qt
from qtpy.QtGui import QPainter, QResizeEvent
from qtpy.QtSvg import QSvgGenerator

import pyqtgraph as pg  # isort: skip  # picks the Qt that is loaded already, so qtpy comes first
from pyqtgraph.exporters import ImageExporter

from napari_hsimisr.curves import Drawn, Kind
from napari_hsimisr.readout import Curve, Readout, joined

FRAME_COLOURS = ("#4c78a8", "#72b7b2", "#54a24b", "#9d755d", "#b279a2", "#8a9a5b", "#6f8fbf", "#a0cbe8")
ENTRY_COLOURS = ("#e0e0e0", "#c9b458", "#7fb8a4", "#b98fb0")
BASELINE_COLOUR, REGION_COLOUR = "#f2a541", "#ffd33d"
ROW_HEIGHT = 14
"""Pixels of a line of the legend."""
LEAST_HEIGHT = 100
PICTURE_WIDTH = 1600
"""Pixels of a saved PNG."""
Positions = npt.NDArray[np.float64]


class SpectraPlot(pg.GraphicsLayoutWidget):
    """Curves by name: those that were hidden by a click in the legend stay hidden."""

    def __init__(self, theme_name: str) -> None:
        super().__init__()
        self.lines: dict[str, pg.PlotDataItem] = {}
        self.error_bands: list[pg.FillBetweenItem] = []
        self._gaps: list[pg.LinearRegionItem] = []
        self._drawn: list[Drawn] = []
        self._hidden: set[str] = set()
        self._draw(theme_name)

    @property
    def visible(self) -> list[Drawn]:
        """The curves that are drawn and not hidden."""
        return [drawn for drawn in self._drawn if self.lines[drawn.curve.label].isVisible()]

    def show_curves(self, drawn: Sequence[Drawn], base: Readout | None, unit: str) -> None:
        """Draw curves over the bands of `base`; `unit` names the values."""
        self._drawn = _named_once(drawn)
        self._start_over(self._drawn)
        if base is not None:
            x = base.positions
            for each in self._drawn:
                self.lines[each.curve.label].setData(x, each.curve.values, connect=joined(x, each.curve.values))
                self._draw_error_band(x, each)
            self._shade_gaps(x, base.bad)
            self.plot.setLabel("bottom", "band" if base.wavelengths is None else "wavelength (nm)")
        else:
            self._shade_gaps(np.zeros(0), np.zeros(0, bool))
        self.plot.setLabel("left", unit)

    def show_preview(self, curve: Curve | None, x: Positions) -> None:
        """Draw the curve under the mouse, or none; what was there before stays as it is."""
        if curve is None:
            self.preview.clear()
        else:
            self.preview.setData(x, curve.values, connect=joined(x, curve.values))
        self.preview.setVisible(curve is not None)

    def save_picture(self, path: Path) -> None:
        """Save the plot as a picture, or as a drawing where the path ends in .svg; raises what writing a file does."""
        with path.open("wb"):  # what draws tells nobody when it fails
            pass
        if path.suffix.lower() == ".svg":
            self._save_drawing(path)
            return
        exporter = ImageExporter(self.scene())
        exporter.parameters()["width"] = PICTURE_WIDTH
        exporter.export(str(path))

    def _save_drawing(self, path: Path) -> None:
        """By Qt's own generator: that of pyqtgraph 0.14 fails on the paths which newer Qt writes."""
        size = self.viewport().size()
        drawing = QSvgGenerator()
        drawing.setFileName(str(path))
        drawing.setTitle("Spectra")
        drawing.setSize(size)
        drawing.setViewBox(QRectF(0, 0, size.width(), size.height()))
        painter = QPainter(drawing)
        self.render(painter)
        painter.end()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Give the legend as many columns as keep it from being higher than the plot."""
        super().resizeEvent(event)
        if event is not None:  # else pyqtgraph is still building it
            self._fit_legend()

    def _fit_legend(self) -> None:
        rows = max((self.height() - 2 * ROW_HEIGHT) // ROW_HEIGHT, 1)
        self.legend.setColumnCount(max(-(-len(self.lines) // rows), 1))

    def _start_over(self, drawn: Sequence[Drawn]) -> None:
        """New lines for new names; curves that were hidden stay hidden."""
        for band in self.error_bands:  # before the lines that they belong to: Qt deletes children with their parent
            band.setParentItem(None)
            self.plot.scene().removeItem(band)
        self.error_bands = []
        if [each.curve.label for each in drawn] == list(self.lines):
            for number, each in enumerate(drawn):
                self.lines[each.curve.label].setPen(_pen(each, number))
            return
        self._hidden = {name for name in self._hidden if name not in self.lines} | {
            name for name, line in self.lines.items() if not line.isVisible()
        }
        for line in self.lines.values():
            self.plot.removeItem(line)
        self.legend.clear()
        self.lines = {}
        for number, each in enumerate(drawn):
            name = each.curve.label
            line = pg.PlotDataItem(pen=_pen(each, number))
            line.setVisible(name not in self._hidden)
            self.plot.addItem(line)
            self.legend.addItem(line, name if each.curve.std is None else f"{name} ± 1 σ")
            self.lines[name] = line
        self._fit_legend()

    def _draw_error_band(self, x: Positions, drawn: Drawn) -> None:
        curve = drawn.curve
        if curve.std is None:
            return
        for links in _runs(joined(x, curve.values + curve.std)):
            run = slice(links.start, links.stop + 1)
            low, high = (pg.PlotCurveItem(x[run], (curve.values + sign * curve.std)[run]) for sign in (-1, 1))
            band = pg.FillBetweenItem(low, high, brush=pg.mkBrush(_colour(drawn) + "50"))
            band.setParentItem(self.lines[curve.label])  # hides with its curve
            band.setZValue(-1)
            self.error_bands.append(band)

    def _shade_gaps(self, x: Positions, bad: npt.NDArray[np.bool_]) -> None:
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

    def move_band_line(self, position: float) -> None:
        """Put the marker of the band somewhere without telling anybody."""
        with QSignalBlocker(self.band_line):
            self.band_line.setValue(position)

    def _draw(self, theme_name: str) -> None:
        theme = get_theme(theme_name)
        text = theme.text.as_hex()
        self.setBackground(theme.background.as_hex())
        self.setMinimumHeight(LEAST_HEIGHT)
        self.ci.layout.setContentsMargins(2, 2, 2, 0)
        self.plot = self.addPlot(row=0, col=0)
        self.legend = pg.LegendItem(labelTextColor=text, labelTextSize="9pt", verSpacing=-8)
        self.ci.addItem(self.legend, row=0, col=1)
        self.ci.layout.setColumnStretchFactor(0, 1)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(text)
            axis.setTextPen(text)
        self.plot.setLabel("bottom", "wavelength (nm)")
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self.plot.getViewBox().setDefaultPadding(0.08)  # room for the error band
        self.band_line = pg.InfiniteLine(movable=True, pen=pg.mkPen(text, width=1, style=Qt.PenStyle.DashLine))
        self.plot.addItem(self.band_line, ignoreBounds=True)
        self.preview = pg.PlotDataItem(pen=pg.mkPen(text, width=1.5, style=Qt.PenStyle.DotLine))
        self.preview.setVisible(False)
        self.plot.addItem(self.preview)


def _named_once(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Without curves whose name another has already: a line stands for each name."""
    return list({each.curve.label: each for each in reversed(drawn)}.values())[::-1]


def _colour(drawn: Drawn, number: int = 0) -> str:
    if drawn.kind is Kind.FRAME:
        return FRAME_COLOURS[number % len(FRAME_COLOURS)]
    if drawn.kind is Kind.ENTRY:
        return ENTRY_COLOURS[number % len(ENTRY_COLOURS)]
    return {Kind.BASELINE: BASELINE_COLOUR, Kind.REGION: REGION_COLOUR}.get(drawn.kind, drawn.colour)


def _pen(drawn: Drawn, number: int) -> object:
    colour = _colour(drawn, number)
    if drawn.kind is Kind.FRAME:
        return pg.mkPen(colour + "b0", width=1)
    if drawn.kind is Kind.BASELINE:
        return pg.mkPen(colour, width=1.5, style=Qt.PenStyle.DashLine)
    if drawn.kind is Kind.ENTRY:
        return pg.mkPen(colour, width=1.5, style=Qt.PenStyle.DashDotLine)
    return pg.mkPen(colour, width=2)


def _runs(mask: npt.NDArray[np.bool_]) -> list[slice]:
    """The stretches of True in a mask."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [slice(int(start), int(stop)) for start, stop in zip(steps[::2], steps[1::2], strict=True)]

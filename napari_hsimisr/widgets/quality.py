"""The Quality dock: how far a result can be trusted, with a truth and without one."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QScrollArea, QSlider, QVBoxLayout, QWidget

from hsimisr.report.verdicts import NOT_USED, verdict_rows
from napari_hsimisr.angles import Against, AngleMap, Target
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.band_maps import BandMaps
from napari_hsimisr.figures import Figures
from napari_hsimisr.layers import cube_of
from napari_hsimisr.overlays import REFINED, UNCERTAINTY
from napari_hsimisr.quality import Quality, unit_map
from napari_hsimisr.quality_layers import ANGLE, DETERMINED, ERROR, FADED, LEARNED, RELATIVE
from napari_hsimisr.session import Status
from napari_hsimisr.widgets.layout import group, row
from napari_hsimisr.widgets.note import Note
from napari_hsimisr.widgets.placing import PlacedWidget
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

HINT = "Refine a view or everything first: this dock judges the refined cube."
UNIT_TITLES = {DETERMINED: "Determined by the frames", LEARNED: "Learned stage followed"}
OFF, IN_UNITS, IN_PERCENT = "off", "in data units", "in percent of the value"
FADE_RANGE = (0.3, 100.0)
"""Percent at the ends of the slider, whose steps are equal factors."""
FADE_STEPS, FADE_START = 100, 60


class QualityWidget(PlacedWidget):
    """Boxes that put maps on the canvas, and what the maps say in numbers."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.quality = Quality(self.session)
        self.figures: Figures | None = None
        self._draw()
        self.map.toggled.connect(self._choose_target)
        self.target.activated.connect(self._choose_target)
        self.ratio.toggled.connect(self.quality.show_ratio)
        self.bars.activated.connect(self._choose_bars)
        self.fade.toggled.connect(self._choose_fade)
        self.fade_slider.valueChanged.connect(self._choose_fade)
        self.determined.toggled.connect(self._choose_unit_maps)
        self.learned.toggled.connect(self._choose_unit_maps)
        self.truth.activated.connect(self._choose_truth)
        self.error.toggled.connect(self._choose_error)
        self.in_bars.toggled.connect(self._choose_error)
        self.figures_button.clicked.connect(self.compute_figures)
        self.copy_button.clicked.connect(self.copy_figures)

        session, quality, layers = self.session, self.quality, napari_viewer.layers.events
        connect(self, session.estimate_changed, self._follow_estimate)
        for moved in (session.motions_changed, session.aligned_changed):
            connect(self, moved, self._follow_motions)
        connect(self, session.pin_changed, quality.follow_pin)
        connect(self, session.entry_changed, quality.follow_entry)
        connect(self, session.frames_changed, self._offer)
        connect(self, napari_viewer.dims.events.current_step, self._follow_band)
        for changed in (layers.inserted, layers.removed):
            connect(self, changed, self._offer)
        connect(self, layers.removed, quality.notice_removal)
        quality.angles_told.connect(self._tell_angles)
        quality.band_told.connect(self._tell_band)
        quality.figures_told.connect(self._tell_figures)
        quality.failed.connect(self._tell_error)
        quality.dropped.connect(self._drop)
        self.destroyed.connect(quality.close)
        self._offer()
        self._follow_estimate()

    def compute_figures(self) -> None:
        """Compare the result with the truth, in the background."""
        self._clear_error()
        self.table.setText("comparing …")
        self.quality.compute_figures()

    def copy_figures(self) -> None:
        """Put the figures of merit on the clipboard, for a spreadsheet."""
        clipboard = QGuiApplication.clipboard()
        if self.figures is not None and clipboard is not None:
            clipboard.setText(self.figures.as_text())

    def choose(self, box: QComboBox, choice: object) -> None:
        """Take one of the choices of a box, as a person would."""
        box.setCurrentIndex([box.itemData(n) for n in range(box.count())].index(choice))
        box.activated.emit(box.currentIndex())

    def _follow_estimate(self) -> None:
        result = self.session.result
        for part in self._parts:
            part.setEnabled(result is not None)
        self.status.show_status(Status(HINT if result is None else ""))
        for box, kind in ((self.determined, DETERMINED), (self.learned, LEARNED)):
            values = None if result is None else unit_map(result.estimate, kind)
            box.setText(UNIT_TITLES[kind] + ("" if values is None else f": {np.nanmean(values):.0%}"))
            box.setEnabled(values is not None)
        self._enable_truth()
        rows = [] if result is None else verdict_rows(result)
        self.verdicts.setText(_table(rows) if rows else "" if result is None else NOT_USED)
        self.quality.follow_estimate()
        self._show_uncertainty()

    def _follow_motions(self) -> None:
        self.quality.layers.follow()

    def _follow_band(self) -> None:
        self.quality.follow_band()

    def _offer(self) -> None:
        """List what can be compared with; choices stay as long as they are there."""
        session = self.session
        ours = [session.overlays.find(product) for product in (REFINED, UNCERTAINTY)]
        others = [layer for layer in self._viewer.layers if cube_of(layer) is not None and layer not in ours]
        cubes = [layer for layer in others if not self._is_frame(layer)]
        targets = [(each.value, Target(each)) for each in (Against.FRAMES, Against.PIN, Against.ENTRY)]
        targets += [(f"{Against.CUBE.value} {layer.name}", Target(Against.CUBE, layer)) for layer in cubes]
        frames = [layer for layer in session.included if layer not in cubes]
        targets += [(f"{Against.FRAME.value} {layer.name}", Target(Against.FRAME, layer)) for layer in frames]
        if _fill(self.target, targets):
            self._choose_target()
        if _fill(self.truth, [("none", None), *((layer.name, layer) for layer in cubes)]):
            self._choose_truth()
        self._show_uncertainty()

    def _is_frame(self, layer: Image) -> bool:
        """Whether a layer takes part as a frame, and has the pixels of one: a truth that was just opened has more."""
        session = self.session
        reference, cube = cube_of(session.reference), cube_of(layer)
        same = reference is not None and cube is not None and cube.shape_yx == reference.shape_yx
        return layer in session.included and same

    def _choose_target(self) -> None:
        self._clear_error()
        self.angles.setText("")
        target = self.target.currentData() if self.map.isChecked() else None
        if target is not None and self.session.result is not None:
            self.angles.setText("comparing …")
        self.quality.show_angles(target)

    def _choose_bars(self) -> None:
        self.quality.show_relative(self.bars.currentText() == IN_PERCENT)
        self._show_uncertainty(touched=True)

    def _choose_fade(self) -> None:
        self.fade_slider.setEnabled(self.fade.isChecked())
        self.fade.setText(f"Fade where it exceeds {self.fade_percent:.2g} %")
        self.quality.fade(self.fade_percent if self.fade.isChecked() else None)

    @property
    def fade_percent(self) -> float:
        """Where the slider stands."""
        low, high = FADE_RANGE
        return float(low * (high / low) ** (self.fade_slider.value() / FADE_STEPS))

    def _choose_unit_maps(self) -> None:
        for box, kind in ((self.determined, DETERMINED), (self.learned, LEARNED)):
            self.quality.show_unit_map(kind, box.isChecked())

    def _choose_truth(self) -> None:
        self._clear_error()
        layer = self.truth.currentData()
        if layer is not None and layer in self.session.included:
            self.session.include(layer, False)  # it is opened like a frame, and would be refined along with them
        self._enable_truth()
        self.quality.set_truth(layer)

    def _enable_truth(self) -> None:
        """A truth can be chosen early, so that it is not refined as a frame; the rest needs a result."""
        for widget in (self.error, self.in_bars, self.figures_button):
            widget.setEnabled(self.truth.currentData() is not None and self.session.result is not None)

    def _choose_error(self) -> None:
        self._clear_error()
        self.quality.show_error(self.error.isChecked(), self.in_bars.isChecked())

    def _show_uncertainty(self, touched: bool = False) -> None:
        """Show the error bars in data units above the refined cube, or hide them if that was chosen just now."""
        layer, refined = (self.session.overlays.find(product) for product in (UNCERTAINTY, REFINED))
        shown = self.bars.currentText() == IN_UNITS
        if layer is None or not (shown or touched):
            return
        layers = self._viewer.layers
        if shown and refined is not None and layers.index(layer) < layers.index(refined):
            layers.move(layers.index(layer), layers.index(refined) + 1)
        if layer.visible != shown:
            layer.visible = layer.colorbar.visible = shown
        if touched:  # for the status bar to tell its values
            layers.selection.active = layer if shown else refined

    def _tell_angles(self, found: AngleMap | None) -> None:
        if found is None:
            self.angles.setText("")
            return
        told = found.summary
        text = f"median {told.median:.2f}°, mean {told.mean:.2f}°, 95 % below {told.p95:.2f}°"
        if found.ratios is not None:
            ratios = found.ratios
            text += (
                f"\n{found.cause} alone: {found.expected:.2f}°; ratio {ratios.median:.2f}, 95 % below {ratios.p95:.2f}"
            )
        self.angles.setText(text)
        self.ratio.setEnabled(found.ratio is not None)

    def _tell_band(self, found: BandMaps | None) -> None:
        self.faded.setText("")
        self.rms.setText("")
        if found is None:
            return
        if self.quality.beyond is not None and found.relative is not None:
            share = found.share_beyond(self.quality.beyond)
            told = f"{share:.0%} of the pixels of band {found.band} are faded."
            self.faded.setText("There are no error bars here." if np.isnan(share) else told)
        if self.error.isChecked() and found.error is not None:
            unit = "error bars" if self.in_bars.isChecked() else "data units"
            self.rms.setText(f"rms {found.rms:.3g} {unit} in band {found.band}")

    def _tell_figures(self, figures: Figures | None) -> None:
        self.figures = figures
        self.copy_button.setEnabled(figures is not None)
        self.table.setText("" if figures is None else _table(figures.rows, ("", "refined", "bicubic"), figures.note))

    def _tell_error(self, text: str) -> None:
        for label in (self.angles, self.table):
            if label.text() == "comparing …":
                label.setText("")
        self.status.show_status(Status(text, error=True))

    def _clear_error(self) -> None:
        if self.session.result is not None:
            self.status.show_status(Status(""))

    def _drop(self, kind: str) -> None:
        """A person has deleted a map: its box is off too."""
        boxes = {ANGLE: self.map, ERROR: self.error, FADED: self.fade}
        boxes |= {DETERMINED: self.determined, LEARNED: self.learned}
        if kind in boxes:
            boxes[kind].setChecked(False)
        elif kind == RELATIVE and self.bars.currentText() == IN_PERCENT:
            self.choose(self.bars, OFF)

    def _draw(self) -> None:
        self._parts = [
            group("Spectral angle of the refined cube", *self._draw_angles()),
            group("Error bars", *self._draw_bars()),
            group("Measured or inferred", *self._draw_unit_maps()),
        ]
        content = QWidget()
        parts = QVBoxLayout(content)
        parts.setContentsMargins(0, 0, 0, 0)
        for part in (*self._parts, group("Against a truth", *self._draw_truth())):
            parts.addWidget(part)
        parts.addStretch(1)
        area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        self.status = StatusLine()
        layout = QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addWidget(self.status)

    def _draw_angles(self) -> tuple[Any, ...]:
        self.map = QCheckBox("Map against")
        self.map.setToolTip(
            "The angle between two spectra, degrees; brightness does not count. Against its own frames no truth is "
            "needed: each is compared with what it would show if the refined cube were true."
        )
        self.target = _combo("What the refined spectra are compared with.")
        self.ratio = QCheckBox("over what is expected there")
        self.ratio.setToolTip(
            "The angle over the one that noise (of a frame) or error bars (against a cube) alone would make: 1 is as "
            "expected, dark pixels do not stand out."
        )
        self.angles = Note()
        return _stretched(self.map, self.target), self.ratio, self.angles

    def _draw_bars(self) -> tuple[Any, ...]:
        self.bars = _combo("One standard deviation of the band that is shown, as a map.")
        for choice in (OFF, IN_UNITS, IN_PERCENT):
            self.bars.addItem(choice, choice)
        self.fade = QCheckBox()
        self.fade.setToolTip("Cover pixels whose error bar is a larger part of the value, in the band that is shown.")
        self.fade_slider = QSlider(Qt.Orientation.Horizontal, maximum=FADE_STEPS, value=FADE_START, enabled=False)
        self.fade.setText(f"Fade where it exceeds {self.fade_percent:.2g} %")
        self.faded = Note()
        return _stretched(QLabel("Map"), self.bars), _stretched(self.fade, self.fade_slider), self.faded

    def _draw_unit_maps(self) -> tuple[Any, ...]:
        self.determined, self.learned = QCheckBox(), QCheckBox()
        self.determined.setToolTip(
            "The share of the detail that the frames determine, per pixel of the reference: detail is what no single "
            "frame can carry. The rest is inferred, by the prior or by a learned stage."
        )
        self.learned.setToolTip("How far held-out frames let the learned stage change the linear estimate.")
        self.verdicts = Note()
        self.verdicts.setToolTip("What frames that were kept back said about the learned stages of the last run.")
        return self.determined, self.learned, self.verdicts

    def _draw_truth(self) -> tuple[Any, ...]:
        self.truth = _combo("A cube of the same scene on the refined grid: the whole scene, or the view.")
        self.error = QCheckBox("Error of the band", enabled=False)
        self.error.setToolTip("How far the band that is shown is from the truth, without sign.")
        self.in_bars = QCheckBox("in error bars", enabled=False)
        self.in_bars.setToolTip("Divided by the error bar of each pixel: with honest error bars the rms is 1.")
        self.rms = Note()
        self.figures_button = QPushButton("Figures of merit", enabled=False)
        self.figures_button.setToolTip("PSNR, SSIM, SAM, SID and ERGAS, beside those of bicubic interpolation.")
        self.copy_button = QPushButton("Copy", enabled=False)
        self.copy_button.setToolTip("Copy the table as text, for a spreadsheet.")
        self.table = Note()
        return (
            _stretched(QLabel("Truth"), self.truth),
            row(self.error, self.in_bars, None),
            self.rms,
            row(self.figures_button, self.copy_button, None),
            self.table,
        )


def _table(rows: Iterable[Sequence[str]], header: Sequence[str] = (), note: str = "") -> str:
    """Rich text of a small table; its cells hold plain text."""
    lines = [[f"<b>{html.escape(cell)}</b>" for cell in header]] if header else []
    lines += [[html.escape(cell) for cell in cells] for cells in rows]
    body = "".join("<tr>" + "".join(f"<td>{cell}&nbsp;&nbsp;</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table>{body}</table>{html.escape(note)}"


def _fill(box: QComboBox, choices: Sequence[tuple[str, object]]) -> bool:
    """Offer choices, of which the current one stays if it is among them; whether it is another one now."""
    before = box.currentData()
    with QSignalBlocker(box):
        box.clear()
        for text, choice in choices:
            box.addItem(text, choice)
        places = [n for n, (_, choice) in enumerate(choices) if choice == before]
        box.setCurrentIndex(places[0] if places else 0)
    return box.currentData() != before


def _combo(tooltip: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(tooltip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)  # long names of layers do not widen the dock
    return box


def _stretched(left: QWidget, right: QWidget) -> Any:
    """A row whose right part takes the room that is left."""
    layout = row(left, right)
    layout.setStretch(1, 1)
    return layout

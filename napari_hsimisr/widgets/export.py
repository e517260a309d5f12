"""The Export dock: the refined cube as files, the settings of its run, a report, and the picture on the canvas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hsimisr.errors import HsimisrError
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.save import Contents, Saved
from napari_hsimisr import exporting
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.session import Status
from napari_hsimisr.widgets.layout import group, row
from napari_hsimisr.widgets.note import Note
from napari_hsimisr.widgets.placing import PlacedWidget
from napari_hsimisr.widgets.status import StatusLine
from napari_hsimisr.writing import Work, Writing

if TYPE_CHECKING:
    import napari

CUBES = (
    "NetCDF-4, CF (*.nc);;GeoTIFF (*.tif);;ENVI (*.hdr);;Zarr (*.zarr);;MATLAB (*.mat);;NumPy (*.npz)",
    {"NetCDF": ".nc", "GeoTIFF": ".tif", "ENVI": ".hdr", "Zarr": ".zarr", "MATLAB": ".mat", "NumPy": ".npz"},
)
PAGE = ("Page (*.html)", {"Page": ".html"})
PICTURE = ("Picture (*.png)", {"Picture": ".png"})
YAML = ("Settings (*.yaml *.yml)", {"Settings": ".yaml"})
ALL_BANDS, GOOD_BANDS = "all, bad ones as NaN", "good ones only"


class ExportWidget(PlacedWidget):
    """Asks for file names and hands the work to a thread; every button says what came of it below."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.writing = Writing()
        self._settings = LatestRead()
        self._draw()
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.report_button.clicked.connect(self._ask_where_to_report)
        self.picture_button.clicked.connect(self._ask_where_to_draw)
        self.save_settings_button.clicked.connect(self._ask_where_to_save_settings)
        self.load_settings_button.clicked.connect(self._ask_which_settings)
        self.copy_button.clicked.connect(self.copy_command)
        self.cancel_button.clicked.connect(self.writing.cancel)
        self.writing.progressed.connect(self.progress.setValue)
        self.writing.saved.connect(self._tell_saved)
        self.writing.failed.connect(self._tell_error)
        self.writing.stopped.connect(self._tell_stopped)
        self.writing.ended.connect(self._show_idle)
        self._settings.done.connect(self._take_settings)
        self._settings.failed.connect(self._tell_error)
        for changed in (self.session.estimate_changed, self.session.busy_changed):
            connect(self, changed, self.refresh)
        self.destroyed.connect(self.writing.cancel)
        self.destroyed.connect(self._settings.close)
        self.refresh()

    @property
    def contents(self) -> Contents:
        """What goes into the file beside the cube, as the boxes stand."""
        good = self.bands.currentText() == GOOD_BANDS
        return Contents(self.std.isChecked(), self.determined.isChecked(), good)

    def save(self, path: Path) -> None:
        """Write the refined cube, in the format that the suffix names."""
        try:
            plan = exporting.plan_saving(self.session, path, self.contents)
        except HsimisrError as error:
            self._tell_error(str(error))
            return
        self._write(plan.write, path)

    def report(self, path: Path) -> None:
        """Write a page on what was done and found."""
        try:
            plan = exporting.plan_report(self.session, path)
        except HsimisrError as error:
            self._tell_error(str(error))
            return
        self._write(plan.write, path)

    def draw(self, path: Path) -> None:
        """Write what is on the canvas as a picture, perhaps larger than on the screen."""
        pixels = self._viewer.screenshot(scale=self.size_factor.value(), canvas_only=True, flash=False)
        self._write(exporting.Picturing(pixels, path).write, path)

    def save_settings(self, path: Path) -> None:
        """Write the settings of the run that is shown as YAML."""
        self._write(exporting.saving_settings(self.session, path), path)

    def load_settings(self, path: Path) -> None:
        """Set the knobs to those of a YAML file, once it is read in the background."""
        self._settings.request(lambda: (path, PipelineConfig.build(path)))

    def copy_command(self) -> None:
        """Put the command line that makes the shown cube on the clipboard."""
        try:
            command = exporting.command(self.session, exporting.suggested(self.session, ".nc"))
        except HsimisrError as error:
            self._tell_error(str(error))
            return
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(command.line)
        self.status.show_status(Status("the command is on the clipboard", command.note))

    def refresh(self) -> None:
        """Show what can be saved now."""
        reason, session = exporting.why_not(self.session), self.session
        self.what.setText(exporting.describe(session))
        self.why_not.setText(reason)
        for button in (self.save_button, self.report_button):
            button.setEnabled(not reason and not self.writing.busy)
        parts = ((self.std, exporting.has_bars(session)), (self.determined, exporting.has_map(session)))
        for box, there in parts:
            box.setEnabled(there)
        self.settings_of.setText(exporting.shown_settings(session)[1].capitalize() + ".")
        self.copy_button.setEnabled(session.request is not None)

    def _write(self, work: Work, path: Path) -> None:
        if self.writing.busy:
            self._tell_error(f"{path}: another file is being written; wait for it, or cancel it")
            return
        self.status.show_status(Status(f"writing {path.name} …"))
        self.progress.setValue(0)
        self.writing.start(work)
        self._show_busy(True)

    def _tell_saved(self, saved: Saved) -> None:
        names = ", ".join(file.name for file in saved.files)
        self.status.show_status(Status(f"saved {names} in {saved.files[0].absolute().parent}"))

    def _tell_stopped(self) -> None:
        self.status.show_status(Status("cancelled; nothing was written"))

    def _tell_error(self, text: str) -> None:
        self.status.show_status(Status(text, error=True))

    def _take_settings(self, outcome: tuple[Path, PipelineConfig]) -> None:
        path, config = outcome
        self.session.give_knobs(config)
        self.status.show_status(Status(f"the Refine dock shows the settings of {path.name}; press “Refine” there"))

    def _show_idle(self) -> None:
        self._show_busy(False)

    def _show_busy(self, busy: bool) -> None:
        self.progress.setVisible(busy)
        self.cancel_button.setVisible(busy)
        for button in (self.save_button, self.report_button, self.picture_button, self.save_settings_button):
            button.setEnabled(not busy)
        if not busy:
            self.refresh()

    def _ask_where_to_save(self) -> None:
        if path := self._ask("Save the refined cube", *CUBES):
            self.save(path)

    def _ask_where_to_report(self) -> None:
        if path := self._ask("Save a report", *PAGE):
            self.report(path)

    def _ask_where_to_draw(self) -> None:
        if path := self._ask("Save a picture of the canvas", *PICTURE):
            self.draw(path)

    def _ask_where_to_save_settings(self) -> None:
        if path := self._ask("Save the settings", *YAML):
            self.save_settings(path)

    def _ask_which_settings(self) -> None:
        folder = exporting.suggested(self.session, ".yaml").parent
        path, _ = QFileDialog.getOpenFileName(self, "Load settings", str(folder), YAML[0])
        if path:
            self.load_settings(Path(path))

    def _ask(self, title: str, filters: str, suffixes: dict[str, str]) -> Path | None:
        """A file name from the person, with the suffix of the chosen format where none was typed."""
        first = next(iter(suffixes.values()))
        path, chosen = QFileDialog.getSaveFileName(self, title, str(exporting.suggested(self.session, first)), filters)
        if not path:
            return None
        suffix = next((end for name, end in suffixes.items() if chosen.startswith(name)), first)
        return Path(path) if Path(path).suffix else Path(path + suffix)

    def _draw(self) -> None:
        content = QWidget()
        parts = QVBoxLayout(content)
        parts.setContentsMargins(0, 0, 0, 0)
        parts.addWidget(group("Refined cube", *self._draw_cube()))
        parts.addWidget(group("Settings", *self._draw_settings()))
        parts.addWidget(group("Picture of the canvas", self._draw_picture()))
        parts.addStretch(1)
        area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        self.progress = QProgressBar(maximum=100, visible=False)
        self.cancel_button = QPushButton("Cancel", visible=False)
        self.status = StatusLine()
        layout = QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addLayout(row(self.progress, self.cancel_button))
        layout.addWidget(self.status)

    def _draw_cube(self) -> tuple[QWidget | QHBoxLayout, ...]:
        self.what, self.why_not = Note(), Note()
        self.bands = QComboBox()
        self.bands.addItems([ALL_BANDS, GOOD_BANDS])
        self.bands.setToolTip("Bad bands keep their places as NaN, or the file holds the good ones only.")
        self.std = QCheckBox("Error bars", checked=True)
        self.std.setToolTip(
            "One standard deviation of every value: variable “std”, or a file of its own where a format holds one cube."
        )
        self.determined = QCheckBox("Measured-or-inferred map", checked=True)
        self.determined.setToolTip(
            "Per pixel of the frames, the share of the detail that they determine; the rest is inferred. Zarr, NetCDF, "
            "MATLAB and NumPy files hold it; beside the others, the JSON tells its mean."
        )
        self.save_button = QPushButton("Save cube…")
        self.save_button.setToolTip(
            "ENVI, GeoTIFF, Zarr, NetCDF, MATLAB or NumPy, by the suffix, with wavelengths, place, bad bands and how "
            "it was made; beside it a JSON with settings, motions, and what held-out frames said."
        )
        self.report_button = QPushButton("Save report…")
        self.report_button.setToolTip(
            "One page for a browser, pictures inside: what was done, how it agrees with the frames, what held-out "
            "frames said, and what was measured or inferred."
        )
        bands = row(QLabel("Bands"), self.bands, None)
        return (
            self.what,
            self.why_not,
            bands,
            self.std,
            self.determined,
            row(self.save_button, self.report_button, None),
        )

    def _draw_picture(self) -> QHBoxLayout:
        self.size_factor = QSpinBox(minimum=1, maximum=4, prefix="× ")
        self.size_factor.setToolTip("How many times larger than on the screen.")
        self.picture_button = QPushButton("Save picture…")
        self.picture_button.setToolTip("What is on the canvas now, as PNG: visible layers, scale bar and colour bars.")
        return row(self.picture_button, QLabel("Size"), self.size_factor, None)

    def _draw_settings(self) -> tuple[QWidget | QHBoxLayout, ...]:
        self.settings_of = Note()
        self.save_settings_button = QPushButton("Save…")
        self.save_settings_button.setToolTip("As YAML, for “Load…” and for hsimisr refine --config.")
        self.load_settings_button = QPushButton("Load…")
        self.load_settings_button.setToolTip("Set the knobs of the Refine dock to those of a YAML file.")
        self.copy_button = QPushButton("Copy as command")
        self.copy_button.setToolTip(
            "The command line that makes the shown cube again, for a terminal, a script or a cluster."
        )
        return self.settings_of, row(self.save_settings_button, self.load_settings_button, self.copy_button, None)

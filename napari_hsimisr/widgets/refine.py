"""The Refine dock: knobs, run on the view, a region or everything, progress, cancel and finished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Progress
from hsimisr.pipeline.presets import with_preset
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.region import begin_region, drawn_region, end_drawing, shapes_layer
from napari_hsimisr.session import Status
from napari_hsimisr.widgets.ask import ask_about
from napari_hsimisr.widgets.fold import Fold
from napari_hsimisr.widgets.form import ModelForm
from napari_hsimisr.widgets.heldout_plot import HeldOutPlot
from napari_hsimisr.widgets.layout import group, row, scrolled
from napari_hsimisr.widgets.presets import PresetChoice
from napari_hsimisr.widgets.psf import PsfEdit
from napari_hsimisr.widgets.runs import RunList
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

LIVE_DELAY_MS = 400
DRAW = "drag a rectangle on the canvas, then press “Refine region” again"
BASIC = ("scale", "noise")
METHODS = ("register_", "subspace", "invert", "refine", "adapt", "diffuse", "uncertainty")


class RefineWidget(QWidget):
    """Draws the config's knobs, and asks the session to refine."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.basic = ModelForm(PipelineConfig, only=BASIC)
        self.psf = PsfEdit(PipelineConfig().psf)
        self.basic.append(self.psf)
        self.methods = ModelForm(PipelineConfig, only=METHODS)
        self.preset = PresetChoice()
        self.runs = RunList(self.session)
        self._draw()
        self.show_config(self.session.config)

        self._settled = QTimer(self, singleShot=True, interval=LIVE_DELAY_MS)
        self._settled.timeout.connect(self.run_view)
        for form in (self.basic, self.methods):
            form.changed.connect(self._knobs_changed)
        camera = napari_viewer.scene.camera.events
        for moved in (camera.center, camera.zoom):
            connect(self, moved, self._run_soon)
        self.live.toggled.connect(self._run_soon)
        self.run_view_button.clicked.connect(self.run_view)
        self.run_region_button.clicked.connect(self.run_region)
        self.run_whole_button.clicked.connect(self.run_whole)
        self.preset.chosen.connect(self._take_preset)
        self.runs.restored.connect(lambda: self.live.setChecked(False))  # or the view would be refined anew
        self.cancel_button.clicked.connect(self.session.cancel)
        connect(self, self.session.progressed, self._show_progress)
        connect(self, self.session.heldout_checked, self.heldout.add)
        connect(self, self.session.status_changed, self.status.show_status)
        connect(self, self.session.busy_changed, self._show_busy)
        connect(self, self.session.knobs_given, self._take_knobs)
        self._show_busy(self.session.busy)  # a job may have outlived the dock that asked for it

    def config(self) -> PipelineConfig:
        """The knobs as they stand; raises pydantic's ValidationError."""
        return PipelineConfig.model_validate({**self.basic.values, "psf": self.psf.text, **self.methods.values})

    def show_config(self, config: PipelineConfig) -> None:
        """Set every knob; nothing is announced meanwhile."""
        values = config.dump()
        with self.basic.changed.blocked(), self.methods.changed.blocked():
            self.basic.values = values
            self.psf.text = config.psf
            self.methods.values = values
        self.preset.show_config(config)

    def run_view(self) -> None:
        """Refine what is on the canvas."""
        self._settled.stop()
        config = self._checked_config()
        if config is not None:
            self.session.refine(config, whole=False)

    def run_region(self) -> None:
        """Refine the rectangle around the selected shape; where nothing is drawn yet, wait for a rectangle."""
        reference = self.session.reference
        if reference is None:
            self.run_view()  # which tells what is missing
            return
        layer = shapes_layer(self._viewer)
        if layer is None or not layer.nshapes:
            begin_region(self._viewer, reference)
            self.status.show_status(Status(DRAW))
            return
        try:
            region = drawn_region(self._viewer, reference)
        except ConfigError as error:
            self.status.show_status(Status(str(error), error=True))
            return
        end_drawing(layer)
        self._run_long(region)

    def run_whole(self) -> None:
        """Refine the whole reference frame."""
        self._run_long(None)

    def _run_long(self, region: View | None) -> None:
        """Refine a region or everything; a person is asked first where that takes long or more memory than there is."""
        self._settled.stop()
        config = self._checked_config()
        if config is None:
            return

        def go() -> None:
            self.session.refine(config, whole=region is None, region=region)

        expected = self.session.forecast(config, region)
        if expected is not None and expected.is_heavy:
            ask_about(expected, "everything" if region is None else f"the region {region}", self, go)
        else:
            go()

    def _knobs_changed(self) -> None:
        config = self._checked_config()
        if config is not None:
            self.session.config = config  # for runs that other docks ask for
            self.preset.show_config(config)
            self._run_soon()

    def _checked_config(self) -> PipelineConfig | None:
        """The knobs as they stand, or None: then the status line tells what is wrong with them."""
        try:
            return self.config()
        except ValidationError as error:
            first = error.errors()[0]
            knob = " ".join(str(part) for part in first["loc"])
            self.status.show_status(Status(f"{knob}: {first['msg']}", error=True))
            return None

    def _take_preset(self, name: str) -> None:
        config = self._checked_config() or self.session.config
        self.session.give_knobs(with_preset(name, config))

    def _take_knobs(self) -> None:
        self.show_config(self.session.config)
        self._run_soon()

    def _run_soon(self) -> None:
        if self.live.isChecked():
            self._settled.start()

    def _show_progress(self, event: Progress) -> None:
        self.progress.setRange(0, event.total)
        self.progress.setValue(event.step)
        self.progress.setFormat(f"{event.stage}: {event.message or '%v of %m'}")

    def _show_busy(self, busy: bool) -> None:
        self.cancel_button.setEnabled(busy)
        self.progress.setRange(0, 0 if busy else 1)
        self.progress.setFormat("" if busy else " ")
        self.progress.setValue(0)

    def _draw(self) -> None:
        self.live = QCheckBox("Follow the view and the knobs")
        self.live.setToolTip("Refine again whenever the canvas or a setting has come to rest.")
        self.run_view_button = QPushButton("Refine view")
        self.run_view_button.setToolTip("Refine the part of the reference frame that is on the canvas.")
        self.run_region_button = QPushButton("Refine region")
        self.run_region_button.setToolTip(
            "Refine the rectangle around the selected shape of a Shapes layer; the first press lets you draw it."
        )
        self.run_whole_button = QPushButton("Refine everything")
        self.run_whole_button.setToolTip("Refine the whole reference frame.")
        self.cancel_button = QPushButton("Cancel", enabled=False)
        self.progress = QProgressBar(maximum=1, textVisible=True, format=" ")
        self.heldout = HeldOutPlot()
        self.status = StatusLine("Open the frames of one scene, then press “Refine view”.")

        knobs = QWidget()
        layout = QVBoxLayout(knobs)
        layout.addWidget(group("Observation", self.basic.native))
        layout.addWidget(group("Methods", row(QLabel("Preset"), self.preset), self.methods.native))
        outer = QVBoxLayout(self)
        outer.addWidget(scrolled(knobs), 1)
        outer.addWidget(self.live)
        outer.addLayout(row(self.run_view_button, self.run_region_button))
        outer.addLayout(row(self.run_whole_button, self.cancel_button))
        outer.addWidget(self.heldout)
        outer.addWidget(self.progress)
        outer.addWidget(self.status)
        outer.addWidget(Fold("Finished runs", self.runs))

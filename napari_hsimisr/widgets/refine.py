"""The Refine dock: knobs, run on the view or the whole frame, progress and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Progress
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.session import Status
from napari_hsimisr.widgets.form import ModelForm
from napari_hsimisr.widgets.heldout_plot import HeldOutPlot
from napari_hsimisr.widgets.layout import group, row
from napari_hsimisr.widgets.psf import PsfEdit
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

LIVE_DELAY_MS = 400
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
        self._draw()

        self._settled = QTimer(self, singleShot=True, interval=LIVE_DELAY_MS)
        self._settled.timeout.connect(self.run_view)
        for form in (self.basic, self.methods):
            form.changed.connect(self._knobs_changed)
        camera = napari_viewer.scene.camera.events
        for moved in (camera.center, camera.zoom):
            connect(self, moved, self._run_soon)
        self.live.toggled.connect(self._run_soon)
        self.run_view_button.clicked.connect(self.run_view)
        self.run_whole_button.clicked.connect(self.run_whole)
        self.cancel_button.clicked.connect(self.session.cancel)
        connect(self, self.session.progressed, self._show_progress)
        connect(self, self.session.heldout_checked, self.heldout.add)
        connect(self, self.session.status_changed, self.status.show_status)
        connect(self, self.session.busy_changed, self._show_busy)

    def config(self) -> PipelineConfig:
        """The knobs as they stand; raises pydantic's ValidationError."""
        return PipelineConfig.model_validate({**self.basic.values, "psf": self.psf.text, **self.methods.values})

    def run_view(self) -> None:
        """Refine what is on the canvas."""
        self._run(whole=False)

    def run_whole(self) -> None:
        """Refine the whole reference frame."""
        self._run(whole=True)

    def _run(self, *, whole: bool) -> None:
        self._settled.stop()
        config = self._checked_config()
        if config is not None:
            self.session.refine(config, whole=whole)

    def _knobs_changed(self) -> None:
        config = self._checked_config()
        if config is not None:
            self.session.config = config  # for runs that other docks ask for
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
        self.run_whole_button = QPushButton("Refine everything")
        self.cancel_button = QPushButton("Cancel", enabled=False)
        self.progress = QProgressBar(maximum=1, textVisible=True, format=" ")
        self.heldout = HeldOutPlot()
        self.status = StatusLine("Open the frames of one scene, then press “Refine view”.")

        knobs = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
        knobs.setWidget(self.methods.native)
        knobs.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.addWidget(group("Observation", self.basic.native))
        layout.addWidget(group("Methods", knobs), 1)
        layout.addWidget(self.live)
        layout.addLayout(row(self.run_view_button, self.run_whole_button, self.cancel_button))
        layout.addWidget(self.heldout)
        layout.addWidget(self.progress)
        layout.addWidget(self.status)

"""What tests in a real window share: an engine that does nothing, and where to click."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QWidget

from hsimisr.pipeline.events import Sink
from hsimisr.pipeline.job import Job
from napari_hsimisr.demo import Demo
from napari_hsimisr.view import world_at


class NoEngine:
    """Takes jobs and does nothing: the test answers them."""

    def __init__(self, sink: Sink) -> None:
        self.jobs: list[Job] = []

    def start(self) -> None:
        """There is no process."""

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, number: int) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """There is no process."""


def canvas_of(demo: Demo) -> QWidget:
    """The widget that napari draws on."""
    (canvas,) = (w for w in demo.refine.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop")
    return canvas


def place_of(demo: Demo, pixel: tuple[float, float]) -> QPoint:
    """Where the canvas shows a pixel of the reference frame."""
    reference, camera = demo.refine.session.reference, demo.viewer.scene.camera
    assert reference is not None
    offset = (np.array(world_at(reference, pixel)) - camera.center[-2:]) * camera.zoom
    y, x = offset + np.array(demo.viewer.canvas.size) / 2
    return QPoint(round(x), round(y))

"""A session without a window or an engine: two frames of one scene, and the result an engine would send."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from hsimisr.cube import Cube
from hsimisr.geometry import Grid, View, translation
from hsimisr.physics.types import Estimate, FrameMotion, PowerSpectrum, Registration, SceneModel, Subspace
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.job import Job
from napari_hsimisr.later import Later, at_once
from napari_hsimisr.layers import frame_layer
from napari_hsimisr.session import Session

H, W = 24, 20
SHIFT = (1.5, -2.25)


class Desk:
    """A session whose jobs land on a desk instead of in a process: the test answers them."""

    def __init__(self, scale: tuple[float, float, float] = (1, 1, 1), later: Later = at_once) -> None:
        self.jobs: list[Job] = []
        self.cancelled: list[int] = []
        self.viewer = ViewerModel()
        self.session = Session(self.viewer, self, later)
        self.statuses = []
        self.session.status_changed.connect(self.statuses.append)
        for number, shift in enumerate(((0.0, 0.0), SHIFT)):
            cube = Cube.from_array(ramp(shift), wavelengths=[500, 600], name=f"frame {number}")
            data, attributes, _ = frame_layer(cube)
            self.viewer.add_image(data, **attributes, scale=scale, translate=(0, 7, -3))

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)

    def result(self, view: View | None = None, reference: int = 0, provisional: bool = False) -> Result:
        """A refined cube on x2 pixels that holds the same ramps, and the true motion relative to `reference`."""
        view = view or View(0, H, 0, W)
        grid = Grid.of_view(view, 2)
        subspace = Subspace(np.zeros(2), np.ones(2), np.eye(2), np.ones(2), np.zeros(2, bool))
        y, x = np.mgrid[: grid.shape[0], : grid.shape[1]]
        mean = np.stack([(y + 0.5) / 2 - 0.5 + view.y0, (x + 0.5) / 2 - 0.5 + view.x0]).astype(np.float32)
        estimate = Estimate(mean, subspace, grid, np.full_like(mean, 0.25))
        shifts = np.array([(0.0, 0.0), SHIFT])
        frames = tuple(FrameMotion(translation(shift - shifts[reference])) for shift in shifts)
        prior = PowerSpectrum(np.array([0.0, 1.0]), np.ones((2, 2)))
        scene = SceneModel(Registration(frames, reference), "box", subspace, prior, 2, provisional)
        return Result(estimate, estimate, scene, PipelineConfig(), {"timings": {}})


def ramp(shift: tuple[float, float]) -> np.ndarray:
    """Two bands that hold the scene's own y and x: bilinear interpolation of them is exact."""
    y, x = np.mgrid[:H, :W].astype(np.float32)
    return np.stack([y - shift[0], x - shift[1]])


@pytest.fixture
def new_desk() -> type[Desk]:
    return Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()

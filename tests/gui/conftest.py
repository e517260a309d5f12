"""A real window on a real screen; `offscreen` draws nothing and would let every picture test pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import QSettings

from napari_hsimisr.demo import Demo
from napari_hsimisr.sample import sample_frames

LEAST_COLOURS = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.gui)


@pytest.fixture(autouse=True)
def screen() -> None:
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        pytest.fail("QT_QPA_PLATFORM=offscreen draws no canvas; unset it, Xvfb does without a display")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that the user opened lately is touched."""
    folder = str(tmp_path_factory.mktemp("settings"))
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)


@pytest.fixture
def demo(qapp) -> Iterator[Demo]:
    """The sample frames with both docks open, nothing refined yet."""
    demo = Demo(sample_frames())
    yield demo
    demo.viewer.close()
    qapp.processEvents()


@pytest.fixture
def picture() -> Callable[[Demo], npt.NDArray[np.uint8]]:
    """Takes the whole window, and makes sure that something was drawn."""

    def take(demo: Demo) -> npt.NDArray[np.uint8]:
        image = demo.viewer.screenshot(canvas_only=False, flash=False)
        assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > LEAST_COLOURS, "the window is blank"
        canvas = demo.viewer.screenshot(canvas_only=True, flash=False)
        assert len(np.unique(canvas.reshape(-1, canvas.shape[-1]), axis=0)) > LEAST_COLOURS, "the canvas is blank"
        return image

    return take

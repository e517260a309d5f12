"""The Export dock in a real window: what is on the canvas gets out whole, named for what it is, or it is said why."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import dask.array as da
import napari
import numpy as np
import pytest
import yaml
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QPushButton
from window import NoEngine

from hsimisr.cli.app import main
from hsimisr.cube import FrameStack
from hsimisr.io.open import open_cube, open_frames
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished, Preview, Result
from hsimisr.pipeline.run import refine
from napari_hsimisr import app
from napari_hsimisr.demo import wait, wait_until
from napari_hsimisr.layers import frame_layers
from napari_hsimisr.sample import FOLDER
from napari_hsimisr.session import PREVIEW, PROVISIONAL
from napari_hsimisr.widgets.export import GOOD_BANDS, ExportWidget
from napari_hsimisr.widgets.refine import RefineWidget

KNOBS = {"invert": {"rounds": 0}, "subspace": {"rank": 3}, "register": {"method": "gauss_newton"}}


@pytest.fixture(scope="module")
def config() -> PipelineConfig:
    return PipelineConfig.build(options=KNOBS)


@pytest.fixture(scope="module")
def stack() -> FrameStack:
    return FrameStack(open_frames([FOLDER / "frames.npz"]).frames[:3])


@pytest.fixture(scope="module")
def result(stack: FrameStack, config: PipelineConfig) -> Result:
    return refine(stack, config)


class Bench:
    """Three of the sample frames with the Refine and the Export dock."""

    def __init__(self, stack: FrameStack) -> None:
        self.viewer = napari.Viewer()
        for data, attributes, _ in frame_layers(stack.frames):
            self.viewer.add_image(data, **attributes)
        self.refine = RefineWidget(self.viewer)
        self.dock = ExportWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.refine, name="Refine")
        self.viewer.window.add_dock_widget(self.dock, name="Export")
        self.session = self.dock.session
        wait(0.1)

    def finish(self, result: Result) -> None:
        """Let a run of everything end."""
        self.session.refine(result.config, whole=True)
        self.session.handle(Finished(self.session._engine.jobs[-1].number, result))
        wait_until(lambda: self.session.overlays.find("uncertainty") is not None)

    def press(self, button: QPushButton) -> None:
        """As a person does."""
        self.dock.parentWidget().raise_()
        wait(0.05)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def said(self, text: str) -> None:
        """Wait until the status line says something."""
        wait_until(lambda: text in self.dock.status.text())


@pytest.fixture
def bench(qapp, stack: FrameStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(app, "Engine", NoEngine)
    bench = Bench(stack)
    yield bench
    bench.viewer.close()
    qapp.processEvents()


def answer(path: Path, filters: str = "") -> None:
    """Type a file name into the dialog that is about to open, choose a kind of file, and press its button."""

    def type_it() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        if filters:
            dialog.selectNameFilter(next(f for f in dialog.nameFilters() if f.startswith(filters)))
        edit = dialog.findChild(QLineEdit)
        assert edit is not None
        edit.setText(str(path))
        QTest.keyClick(edit, Qt.Key.Key_Return)

    QTimer.singleShot(300, type_it)


def run_cli(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_refined_cube_is_saved_under_the_name_that_was_typed(bench: Bench, result: Result, tmp_path: Path) -> None:
    bench.finish(result)
    assert "60 bands, 96 × 96 pixels" in bench.dock.what.text()
    answer(tmp_path / "mine", "NetCDF")
    bench.press(bench.dock.save_button)
    bench.said("saved mine.nc")
    np.testing.assert_array_equal(open_cube(tmp_path / "mine.nc").read(), result.estimate.bands())
    np.testing.assert_array_equal(open_cube(f"{tmp_path / 'mine.nc'}:std").read(), result.estimate.std())
    told = json.loads((tmp_path / "mine.nc.json").read_text())
    assert [Path(frame["file"]).name for frame in told["frames"]] == [f"frames.npz#{k}" for k in range(3)]
    assert bench.dock.save_button.isEnabled()


def test_the_boxes_decide_what_the_file_holds(bench: Bench, result: Result, tmp_path: Path) -> None:
    bad = np.arange(60) == 7
    subspace = replace(result.scene.subspace, bad=bad)
    estimate = replace(result.estimate, subspace=subspace)
    bench.finish(replace(result, estimate=estimate, scene=replace(result.scene, subspace=subspace)))
    for box in (bench.dock.std, bench.dock.determined):
        QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
        assert not box.isChecked()
    bench.dock.bands.setFocus()
    QTest.keyClick(bench.dock.bands, Qt.Key.Key_Down)
    assert bench.dock.bands.currentText() == GOOD_BANDS
    bench.dock.save(tmp_path / "good.npz")
    bench.said("saved good.npz")
    with np.load(tmp_path / "good.npz") as file:
        assert file["cube"].shape == (59, 96, 96)
        assert not {"std", "determined"} & set(file.files)


def test_what_is_no_result_is_refused_with_the_way_out(bench: Bench, result: Result, tmp_path: Path) -> None:
    dock, session = bench.dock, bench.session
    assert not dock.save_button.isEnabled()
    assert "Refine everything" in dock.why_not.text()
    session.refine(result.config, whole=False)
    session.handle(Preview(session._engine.jobs[-1].number, "first", result.estimate))
    assert dock.why_not.text() == PREVIEW
    dock.save(tmp_path / "a.npz")
    bench.said(PREVIEW)
    bench.finish(replace(result, scene=replace(result.scene, provisional=True)))
    assert dock.why_not.text() == PROVISIONAL
    assert not dock.save_button.isEnabled()
    bench.finish(result)
    assert (dock.why_not.text(), dock.save_button.isEnabled()) == ("", True)
    dock.save(tmp_path / "nowhere" / "a.npz")
    bench.said("does not exist; make it first")
    dock.save(tmp_path / "a.xyz")
    bench.said(".xyz is no format")
    assert list(tmp_path.iterdir()) == []


@dataclass
class Held:
    """A result that is written as far as the test lets it: `reached` tells that it has begun, `go` lets it go on."""

    result: Result
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        held = self

        class Slow(Estimate):
            """Waits for the test, but never on the GUI thread."""

            def bands(self, index: Any = slice(None)) -> Float32:
                if threading.current_thread() is not threading.main_thread():
                    held.reached.set()
                    held.go.wait(30)
                return super().bands(index)

        estimate = self.result.estimate
        slow = Slow(**{f.name: getattr(estimate, f.name) for f in fields(Estimate)})
        self.result = replace(self.result, estimate=slow)


def test_cancel_stops_a_write_and_leaves_nothing(bench: Bench, result: Result, tmp_path: Path) -> None:
    held = Held(result)
    bench.finish(held.result)
    bench.dock.save(tmp_path / "slow.zarr")
    wait_until(held.reached.is_set)
    assert not bench.dock.save_button.isEnabled()
    bench.dock.save(tmp_path / "other.zarr")
    bench.said("another file is being written")
    bench.press(bench.dock.cancel_button)
    held.go.set()
    bench.said("cancelled")
    assert list(tmp_path.iterdir()) == []
    wait_until(bench.dock.save_button.isEnabled)


def test_a_dock_that_is_closed_stops_its_write(bench: Bench, result: Result, tmp_path: Path) -> None:
    held = Held(result)
    bench.finish(held.result)
    writing, ended = bench.dock.writing, []
    writing.ended.connect(lambda: ended.append(True))
    bench.dock.save(tmp_path / "closed.zarr")
    wait_until(held.reached.is_set)
    bench.viewer.window.remove_dock_widget(bench.dock)
    bench.dock.deleteLater()
    wait(0.2)
    held.go.set()
    wait_until(lambda: bool(ended))
    assert list(tmp_path.iterdir()) == []


def test_settings_go_out_and_come_back(
    bench: Bench, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.finish(result)
    answer(tmp_path / "knobs")
    bench.press(bench.dock.save_settings_button)
    bench.said("saved knobs.yaml")
    assert yaml.safe_load((tmp_path / "knobs.yaml").read_text()) == result.config.dump()
    assert bench.refine.config() != result.config
    answer(tmp_path / "knobs.yaml")
    bench.press(bench.dock.load_settings_button)
    bench.said("shows the settings of knobs.yaml")
    assert bench.refine.config() == result.config
    (tmp_path / "wrong.yaml").write_text("scale: 99\n")
    bench.dock.load_settings(tmp_path / "wrong.yaml")
    bench.said("setting scale")
    assert bench.refine.config() == result.config


def test_the_copied_command_makes_the_same_cube(
    bench: Bench, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.finish(result)
    bench.press(bench.dock.copy_button)
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:2] == ["hsimisr", "refine"]
    words[words.index("--out") + 1] = str(tmp_path / "again.npz")
    assert run_cli(monkeypatch, words) == 0
    np.testing.assert_array_equal(open_cube(tmp_path / "again.npz").read(), result.estimate.bands())


def test_a_report_is_saved_as_a_page(bench: Bench, result: Result, tmp_path: Path) -> None:
    assert not bench.dock.report_button.isEnabled()
    bench.finish(result)
    answer(tmp_path / "report")
    bench.press(bench.dock.report_button)
    bench.said("saved report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4
    assert "invert.rounds = 0" in page


def test_the_canvas_is_saved_as_a_picture(bench: Bench, tmp_path: Path) -> None:
    height, width = bench.viewer.screenshot(canvas_only=True, flash=False).shape[:2]
    bench.dock.size_factor.setValue(2)
    answer(tmp_path / "canvas")
    bench.press(bench.dock.picture_button)
    bench.said("saved canvas.png")
    picture = QImage(str(tmp_path / "canvas.png"))
    assert (picture.height(), picture.width()) == (2 * height, 2 * width)
    colours = {picture.pixel(x, y) for x in range(0, 2 * width, 16) for y in range(0, 2 * height, 16)}
    assert len(colours) > 10
    bench.dock.draw(tmp_path / "canvas.jpg")
    bench.said("ends in .png")


def test_frames_without_a_file_have_no_command(bench: Bench, result: Result, stack: FrameStack) -> None:
    layer = bench.session.frames[1]
    layer.data = da.from_array(stack.frames[1].read())
    bench.finish(result)
    bench.press(bench.dock.copy_button)
    bench.said("comes from none")


def test_motions_set_by_hand_are_said_with_the_command(bench: Bench, result: Result) -> None:
    bench.finish(result)
    bench.session.alignment.fix(True)
    bench.finish(result)
    bench.press(bench.dock.copy_button)
    bench.said("save them in the Alignment dock")
    assert "--registration registration.json" in QGuiApplication.clipboard().text()

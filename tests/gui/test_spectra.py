"""The Spectra dock in a real window: pins by clicks, a preview that goes, regions, a library, saving."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import napari
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from window import NoEngine

from hsimisr.cube import Cube, FrameStack
from hsimisr.io.open import open_frames
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished, Result
from hsimisr.pipeline.run import refine
from hsimisr.spectra import table
from hsimisr.spectra.open import open_library
from napari_hsimisr import app
from napari_hsimisr.curves import Way
from napari_hsimisr.demo import PIXEL, wait, wait_until
from napari_hsimisr.layers import frame_layers
from napari_hsimisr.sample import FOLDER
from napari_hsimisr.view import world_at
from napari_hsimisr.widgets.spectra import SpectraWidget

LEFT, NONE, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


class Bench:
    """Three of the sample frames with the dock open, and what a person does with them."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        for data, attributes, _ in frame_layers(open_frames([FOLDER / "frames.npz"]).frames[:3]):
            self.viewer.add_image(data, **attributes)
        self.dock = SpectraWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Spectra")
        self.session = self.dock.session
        wait(0.3)
        self.viewer.reset_view()
        (self.canvas,) = (
            w for w in self.dock.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop"
        )

    def place_of(self, pixel: tuple[float, float]) -> QPoint:
        camera = self.viewer.scene.camera
        offset = (np.array(world_at(self.session.frames[0], pixel)) - camera.center[-2:]) * camera.zoom
        y, x = offset + np.array(self.viewer.canvas.size) / 2
        return QPoint(round(x), round(y))

    def click(self, pixel: tuple[float, float], modifier: Qt.KeyboardModifier = NONE) -> None:
        before = self.dock.reading
        QTest.mouseClick(self.canvas, LEFT, modifier, self.place_of(pixel))
        wait_until(lambda: self.dock.reading is not before)

    def move(self, pixel: tuple[float, float]) -> None:
        QTest.mouseMove(self.canvas, self.place_of(pixel))

    def finish(self, result: Result) -> None:
        """Let a run end."""
        self.session.refine(PipelineConfig(), whole=True)
        self.session.handle(Finished(self.session._engine.jobs[-1].number, result))
        wait_until(lambda: self.dock.readout is None or self.dock.readout.refined is not None)

    def points(self) -> list[tuple[float, float]]:
        return [readout.point for _, readout in self.dock.reading.pins]


@pytest.fixture(scope="module")
def result() -> Result:
    return refine(FrameStack(open_frames([FOLDER / "frames.npz"]).frames[:3]), PipelineConfig())


@pytest.fixture
def bench(qapp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(app, "Engine", NoEngine)
    bench = Bench()
    yield bench
    bench.viewer.close()
    qapp.processEvents()


def test_a_click_moves_the_pin_and_shift_collects_more(bench: Bench, result: Result) -> None:
    dock, layers = bench.dock, bench.viewer.layers
    pixel = 1 / bench.viewer.scene.camera.zoom
    bench.click((10.0, 12.0))
    bench.click(PIXEL)
    np.testing.assert_allclose(bench.points(), [PIXEL], atol=pixel)
    bench.click((30.0, 33.0), SHIFT)
    np.testing.assert_allclose(bench.points(), [PIXEL, (30, 33)], atol=pixel)
    bench.click((40.0, 20.0))
    np.testing.assert_allclose(bench.points(), [PIXEL, (40, 20)], atol=pixel)
    assert "spectral angle to pin 1" in dock.status.text()

    bench.finish(result)
    wait_until(lambda: "refined · pin 2" in dock.plot.lines)
    colours = [dock.plot.lines[f"refined · pin {n}"].opts["pen"].color().name() for n in (1, 2)]
    assert colours == [pin.colour for pin in bench.session.pins.all]
    marks = layers["spectrum"]
    assert layers[-1] is marks  # above the refined cube, which came later
    drawn = {tuple((rgba[:3] * 255).round().astype(int)) for rgba in marks.edge_color}
    assert drawn == {tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5)) for colour in colours}

    actions = {action.text(): action for action in dock.tools.pins.menu().actions()}
    actions["pin 1"].trigger()
    wait_until(lambda: dock.reading.pins[-1][0].number == 1)
    actions = {action.text(): action for action in dock.tools.pins.menu().actions()}
    actions["Remove pin 1"].trigger()
    wait_until(lambda: len(dock.reading.pins) == 1)
    np.testing.assert_allclose(bench.points(), [(40, 20)], atol=pixel)
    actions = {action.text(): action for action in dock.tools.pins.menu().actions()}
    actions["Remove all"].trigger()
    wait_until(lambda: dock.reading.pins == ())
    assert "spectrum" not in layers
    assert dock.plot.lines == {}
    assert not dock.tools.pins.isEnabled()


def test_the_preview_follows_the_mouse_and_leaves_the_plot_as_it_was(bench: Bench) -> None:
    plot = bench.dock.plot
    bench.click(PIXEL)
    wait(0.1)
    before = {name: line.getData()[1].copy() for name, line in plot.lines.items()}
    limits = plot.plot.viewRange()
    bench.viewer.mouse_over_canvas = True
    bench.move((8.0, 9.0))
    wait(0.02)
    bench.move((30.0, 40.0))
    wait_until(plot.preview.isVisible)
    wait(0.2)  # for the latest to come
    plan = bench.session.frames[0].data[:, 30, 40].compute()
    np.testing.assert_allclose(plot.preview.getData()[1], plan, rtol=0.2)
    bench.move((8.0, 9.0))
    wait_until(lambda: not np.allclose(plot.preview.getData()[1], plan, rtol=0.01))
    bench.viewer.mouse_over_canvas = False  # what napari sets when the mouse leaves its canvas
    assert not plot.preview.isVisible()
    wait(0.2)
    assert not plot.preview.isVisible()  # nothing comes late
    for name, line in plot.lines.items():
        np.testing.assert_array_equal(line.getData()[1], before[name])
    np.testing.assert_allclose(plot.plot.viewRange(), limits)
    bench.dock.tools.hover.setChecked(False)
    bench.move((30.0, 40.0))
    wait(0.2)
    assert not plot.preview.isVisible()


def test_leaving_the_canvas_ends_the_preview(bench: Bench) -> None:
    QTest.mouseMove(bench.dock.status)
    wait(0.1)
    bench.move((30.0, 30.0))
    wait_until(bench.dock.plot.preview.isVisible)
    QTest.mouseMove(bench.dock.status)
    wait_until(lambda: not bench.dock.plot.preview.isVisible())


def test_what_is_drawn_can_be_chosen(bench: Bench, result: Result) -> None:
    dock = bench.dock
    bench.click(PIXEL)
    dock.tools.way.setCurrentText(Way.DIFFERENCE.value)
    wait_until(lambda: "refine first" in dock.status.text())
    bench.finish(result)
    wait_until(lambda: "refined" in dock.plot.lines)
    readout = dock.readout
    assert readout is not None
    expected = readout.refined.values - readout.baseline.values  # type: ignore[union-attr]
    np.testing.assert_allclose(dock.plot.lines["refined"].getData()[1], expected, rtol=1e-6)
    dock.tools.way.setCurrentText(Way.CONTINUUM.value)
    wait_until(lambda: "bicubic" in dock.plot.lines)
    assert np.nanmax(dock.plot.lines["refined"].getData()[1]) == pytest.approx(1, abs=1e-6)
    dock.tools.box.setCurrentText("5 × 5")
    wait_until(lambda: "mean of 5 × 5" in dock.status.text())


def test_a_region_is_drawn_and_followed(bench: Bench) -> None:
    dock, frame = bench.dock, bench.session.frames[0]
    shapes = bench.viewer.add_shapes(
        [np.array([[9.5, 9.5], [9.5, 19.5], [19.5, 19.5], [19.5, 9.5]])], shape_type="polygon", name="field"
    )
    dock.tools.region.setCurrentText("field")
    wait_until(lambda: "region: 100 pixels" in dock.status.text())
    values = frame.data[:, 10:20, 10:20].compute().reshape(len(frame.data), -1).astype(float)
    good = ~dock.reading.region.bad  # type: ignore[union-attr]
    np.testing.assert_allclose(dock.plot.lines["field"].getData()[1][good], values.mean(1)[good], rtol=1e-5)
    assert dock.plot.error_bands
    shapes.data = [np.array([[9.5, 9.5], [9.5, 14.5], [19.5, 14.5], [19.5, 9.5]])]
    wait_until(lambda: "region: 50 pixels" in dock.status.text())
    shapes.add(np.array([[20.5, 20.5], [20.5, 29.5], [22.5, 29.5], [22.5, 20.5]]), shape_type="rectangle")
    shapes.selected_data = {1}
    wait_until(lambda: "region: 18 pixels" in dock.status.text())
    shapes.selected_data = {0}
    wait_until(lambda: "region: 50 pixels" in dock.status.text())
    shapes.scale = (2, 2)
    wait_until(lambda: "region: 200 pixels" in dock.status.text())

    labels = bench.viewer.add_labels(np.zeros((48, 48), int), name="marked")
    dock.tools.region.setCurrentText("marked")
    wait_until(lambda: "holds the centre of no pixel" in dock.status.text())
    assert dock.reading.region is None
    bench.click(PIXEL)  # pins are shown nevertheless
    assert dock.readout is not None
    labels.fill((5, 5), 2)
    labels.selected_label = 2
    wait_until(lambda: "region: 2304 pixels" in dock.status.text())
    labels.brush_size = 1
    labels.paint((7, 7), 3)
    wait_until(lambda: "region: 2303 pixels" in dock.status.text())
    bench.viewer.layers.remove(labels)
    wait_until(lambda: dock.reading.region is None)
    assert dock.tools.region.currentText() == "no region"


def test_previews_and_regions_are_not_read_on_the_gui_thread(qapp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Engine", NoEngine)
    readers: set[int] = set()

    def read(block: np.ndarray) -> np.ndarray:
        readers.add(threading.get_ident())
        return block

    viewer = napari.Viewer()
    data = da.from_array(np.random.default_rng(0).normal(size=(6, 20, 20)).astype(np.float32), chunks=(6, 5, 5))
    for array, attributes, _ in frame_layers([Cube(data.map_blocks(read, dtype=np.float32), name="slow")]):
        viewer.add_image(array, **attributes)
    dock = SpectraWidget(viewer)
    viewer.window.add_dock_widget(dock)
    labels = viewer.add_labels(np.ones((20, 20), int))
    wait(0.2)
    readers.clear()
    dock.spectra.hover((7.0, 8.0))
    wait_until(dock.plot.preview.isVisible)
    assert readers
    dock.tools.region.setCurrentText(labels.name)
    wait_until(lambda: "region: 400 pixels" in dock.status.text())
    assert threading.get_ident() not in readers
    viewer.close()


def test_a_library_lists_its_nearest_entries_and_draws_them(bench: Bench, shared_data: Path, tmp_path: Path) -> None:
    dock = bench.dock
    bench.click(PIXEL)
    dock.spectra.open_library(tmp_path / "away.sli")
    wait_until(lambda: "no such file" in dock.status.text())
    assert dock.panel.isHidden()
    dock.spectra.open_library(shared_data / "speclib" / "library_berlin.sli")
    wait_until(lambda: dock.panel.list.count() == 6)
    assert not dock.panel.isHidden()
    assert "75 entries" in dock.panel.title.text()
    first = dock.panel.list.item(0)
    name = dock.reading.found[0].name
    assert first.text() == f"{dock.reading.found[0].angle:.2f}°  {name}"
    first.setCheckState(Qt.CheckState.Checked)
    assert name in dock.plot.lines
    dock.panel.list.setCurrentRow(1)
    assert bench.session.entry is not None
    assert bench.session.entry.name == dock.reading.found[1].name
    bench.click((40.0, 8.0))
    wait_until(lambda: name in dock.plot.lines)  # what was ticked stays
    dock.panel.close_button.click()
    wait_until(lambda: dock.reading.found == ())
    assert dock.panel.isHidden()
    assert name not in dock.plot.lines
    assert bench.session.entry is None


def test_what_is_drawn_can_be_saved(bench: Bench, result: Result, tmp_path: Path) -> None:
    dock = bench.dock
    bench.click(PIXEL)
    bench.finish(result)
    wait_until(lambda: "refined" in dock.plot.lines)
    dock.plot.lines["bicubic"].setVisible(False)  # what a click in the legend does
    for suffix in ("csv", "png", "svg"):
        path = tmp_path / f"spectra.{suffix}"
        dock.save(path)
        wait_until(lambda path=path: f"saved {path}" in dock.status.text())
        assert path.stat().st_size > 1000
    saved = open_library(tmp_path / "spectra.csv")
    assert "bicubic" not in saved.names
    assert dock.readout is not None
    values = saved.values[saved.names.index("refined")]
    np.testing.assert_allclose(values, dock.readout.refined.values, rtol=1e-6)  # type: ignore[union-attr]

    picture, drawing = QImage(str(tmp_path / "spectra.png")), QSvgRenderer(str(tmp_path / "spectra.svg"))
    assert picture.width() == 1600
    assert drawing.isValid()
    assert "refined" in (tmp_path / "spectra.svg").read_text()
    dock.save(tmp_path / "nowhere" / "spectra.svg")
    assert "cannot be written" in dock.status.text()
    dock.save(tmp_path / "nowhere" / "spectra.csv")
    wait_until(lambda: "spectra.csv: cannot be written" in dock.status.text())


def test_a_table_that_was_saved_can_be_opened_as_a_library(bench: Bench, tmp_path: Path) -> None:
    dock = bench.dock
    bench.click(PIXEL)
    dock.save(tmp_path / "own.csv")
    wait_until(lambda: "saved" in dock.status.text())
    dock.spectra.open_library(tmp_path / "own.csv")
    wait_until(lambda: dock.panel.list.count() > 0)
    assert dock.reading.found[0].angle == pytest.approx(0, abs=1e-4)  # float32
    table.write(tmp_path / "far.csv", ["nm", "far infrared"], [np.array([9000.0, 9100]), np.ones(2)])
    dock.spectra.open_library(tmp_path / "far.csv")
    wait_until(lambda: "far.csv" in dock.panel.title.text())
    wait_until(lambda: dock.panel.list.count() == 0)
    assert "the library has none of these bands" in dock.status.text()


def test_the_dock_takes_its_listeners_along(bench: Bench, qapp) -> None:
    viewer = bench.viewer
    before = len(viewer.mouse_move_callbacks), len(viewer.mouse_drag_callbacks)
    bench.click(PIXEL)
    viewer.window.remove_dock_widget(bench.dock)
    bench.dock.deleteLater()
    wait(0.2)
    assert (len(viewer.mouse_move_callbacks), len(viewer.mouse_drag_callbacks)) == (before[0] - 1, before[1] - 1)
    QTest.mouseMove(bench.canvas, QPoint(40, 40))
    viewer.mouse_over_canvas = False
    viewer.add_image(np.ones((2, 4, 4)))
    wait(0.2)

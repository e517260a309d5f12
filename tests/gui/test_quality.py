"""The Quality dock in a real window: maps and numbers follow the result, the band, the pin and the layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import napari
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtGui import QGuiApplication
from window import NoEngine

from hsimisr.cube import FrameStack
from hsimisr.io.open import open_frames
from hsimisr.metrics import evaluate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished, Preview, Result
from hsimisr.pipeline.run import refine
from napari_hsimisr import app
from napari_hsimisr.angles import Against, Target
from napari_hsimisr.demo import PIXEL, Demo, wait, wait_until
from napari_hsimisr.layers import frame_layer, frame_layers
from napari_hsimisr.overlays import REFINED, UNCERTAINTY
from napari_hsimisr.quality_layers import ANGLE, DETERMINED, ERROR, FADED, LEARNED, RELATIVE
from napari_hsimisr.sample import FOLDER, sample_truth
from napari_hsimisr.session import Session
from napari_hsimisr.view import world_at
from napari_hsimisr.widgets.quality import IN_PERCENT, IN_UNITS, OFF, QualityWidget


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Engine", NoEngine)


def finish(session: Session, result: Result, dock: QualityWidget) -> None:
    """Let a run end."""
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(session._engine.jobs[-1].number, result))
    wait_until(dock.map.isEnabled)


class Bench:
    """Four of the sample frames and their truth, with the dock open."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        frames = open_frames([FOLDER / "frames.npz"]).frames[:4]
        for data, attributes, _ in frame_layers(frames):
            self.viewer.add_image(data, **attributes)
        self.dock = QualityWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Quality")
        self.session = self.dock.session
        data, attributes, _ = frame_layer(sample_truth())
        self.truth = self.viewer.add_image(data, **attributes)
        self.dock.choose(self.dock.truth, self.truth)

    def map(self, kind: str) -> Image | None:
        return self.dock.quality.layers.find(kind)

    def show_angles(self, target: Target) -> np.ndarray:
        """Choose a target and wait for its map."""
        self.dock.choose(self.dock.target, target)
        self.dock.map.setChecked(True)
        wait_until(lambda: "median" in self.dock.angles.text())
        layer = self.map(ANGLE)
        assert layer is not None
        return layer.data


@pytest.fixture(scope="module")
def result() -> Result:
    return refine(FrameStack(open_frames([FOLDER / "frames.npz"]).frames[:4]), PipelineConfig())


@pytest.fixture
def bench(qapp) -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.viewer.close()
    qapp.processEvents()


def test_without_a_result_there_is_a_hint_and_only_a_truth_can_be_chosen(bench: Bench) -> None:
    dock, session = bench.dock, bench.session
    assert "Refine" in dock.status.text()
    for widget in (dock.map, dock.target, dock.bars, dock.fade, dock.determined, dock.error, dock.figures_button):
        assert not widget.isEnabled()
    assert dock.truth.isEnabled()
    assert len(session.frames) == 5
    assert session.included == session.frames[:4]  # a truth is not refined along with the frames


def test_angles_against_frames_truth_and_pin(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    session = bench.session
    of_frames = bench.show_angles(Target(Against.FRAMES))
    assert of_frames.shape == (48, 48)
    assert "noise alone" in bench.dock.angles.text()
    assert 0.9 < np.nanmedian(bench.dock.quality._found.ratio.values) < 1.1
    against_truth = bench.show_angles(Target(Against.CUBE, bench.truth))
    assert against_truth.shape == (96, 96)
    inner = against_truth[4:-4, 4:-4]
    assert np.nanmean(inner) == pytest.approx(evaluate(sample_truth().read(), result.estimate.bands(), 2).sam, rel=1e-4)
    bench.dock.ratio.setChecked(True)
    wait(0.1)
    layer = bench.map(ANGLE)
    assert layer is not None
    assert "over that of error bars" in layer.name
    bench.dock.choose(bench.dock.target, Target(Against.PIN))
    wait_until(lambda: "no spectrum is pinned" in bench.dock.status.text())
    assert not layer.visible
    session.set_pin(world_at(session.frames[0], PIXEL))
    wait_until(lambda: layer.visible)
    assert layer.get_value(layer.world_to_data(world_at(session.frames[0], PIXEL))) == pytest.approx(0, abs=1e-3)


def test_maps_of_the_band_follow_the_slider(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    dock, dims, estimate = bench.dock, bench.viewer.dims, result.estimate
    dock.choose(dock.bars, IN_PERCENT)
    dock.fade.setChecked(True)
    dock.error.setChecked(True)
    truth = sample_truth().read()
    for band in (50, 7):
        dims.set_current_step(0, band)
        wait_until(lambda band=band: f"in band {band}" in dock.rms.text())
        value, std = estimate.bands(np.array([band]))[0], estimate.std(np.array([band]))[0]
        percent = 100 * std / np.abs(value)
        np.testing.assert_allclose(bench.map(ERROR).data, np.abs(value - truth[band]), rtol=1e-5)
        np.testing.assert_allclose(bench.map(RELATIVE).data, percent, rtol=1e-5)
        np.testing.assert_array_equal(np.isfinite(bench.map(FADED).data), percent > dock.fade_percent)
    dock.fade_slider.setValue(dock.fade_slider.value() + 10)
    np.testing.assert_array_equal(np.isfinite(bench.map(FADED).data), percent > dock.fade_percent)
    for box in (dock.fade, dock.error):
        box.setChecked(False)
    dock.choose(dock.bars, OFF)
    assert [bench.map(kind) for kind in (ERROR, RELATIVE, FADED)] == [None, None, None]


def test_error_bars_in_data_units_and_shares_that_the_result_brings_along(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    dock, session, estimate = bench.dock, bench.session, result.estimate
    wait_until(lambda: session.overlays.find(UNCERTAINTY) is not None)
    dock.choose(dock.bars, IN_UNITS)
    bars, refined = (session.overlays.find(product) for product in (UNCERTAINTY, REFINED))
    assert bars is not None
    assert bars.visible
    assert bench.viewer.layers.index(bars) > bench.viewer.layers.index(refined)
    dock.choose(dock.bars, OFF)
    assert not bars.visible

    assert estimate.determined is not None
    assert f"{np.nanmean(estimate.determined):.0%}" in dock.determined.text()
    dock.determined.setChecked(True)
    np.testing.assert_array_equal(bench.map(DETERMINED).data, estimate.determined)
    assert estimate.learned is None
    assert not dock.learned.isEnabled()

    learned = np.full_like(estimate.determined, 0.25)
    finish(session, replace(result, estimate=replace(estimate, learned=learned)), dock)
    wait_until(dock.learned.isEnabled)
    dock.learned.setChecked(True)
    layer = bench.map(LEARNED)
    assert layer is not None
    assert layer.visible
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(session._engine.jobs[-1].number, result))  # without a learned stage
    wait_until(lambda: not layer.visible)
    assert not dock.learned.isEnabled()


def test_figures_of_merit_can_be_copied(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    bench.dock.compute_figures()
    wait_until(lambda: bench.dock.figures is not None)
    expected = evaluate(sample_truth().read(), result.estimate.bands(), 2)
    assert f"{expected.psnr:.2f}" in bench.dock.table.text()
    bench.dock.copy_button.click()
    assert f"PSNR (dB)\t{expected.psnr:.2f}" in QGuiApplication.clipboard().text()


def test_what_was_computed_for_an_older_picture_is_dropped(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    bench.show_angles(Target(Against.FRAMES))
    layer = bench.map(ANGLE)
    assert layer is not None
    bench.dock.choose(bench.dock.target, Target(Against.CUBE, bench.truth))
    bench.dock.compute_figures()
    bench.session.refine(PipelineConfig(), whole=True)
    number = bench.session._engine.jobs[-1].number
    bench.session.handle(Preview(number, "first", result.estimate))
    wait(0.5)  # for what was asked for to come
    assert not layer.visible
    assert layer.data.shape == (48, 48)  # that of the frames
    assert bench.dock.figures is None
    assert not bench.dock.map.isEnabled()
    bench.session.handle(Finished(number, result))
    wait_until(lambda: layer.visible)
    assert layer.data.shape == (96, 96)


def test_deleted_layers_are_given_up(bench: Bench, result: Result) -> None:
    finish(bench.session, result, bench.dock)
    bench.show_angles(Target(Against.CUBE, bench.truth))
    bench.viewer.layers.remove(bench.map(ANGLE))
    assert not bench.dock.map.isChecked()
    bench.dock.error.setChecked(True)
    wait_until(lambda: bench.map(ERROR) is not None)
    bench.viewer.layers.remove(bench.truth)
    assert bench.map(ERROR) is None
    assert bench.dock.truth.currentText() == "none"
    assert not bench.dock.figures_button.isEnabled()
    bench.viewer.layers.clear()
    bench.dock.fade.setChecked(True)
    wait_until(lambda: bench.map(FADED) is not None)  # the result is still there


def test_the_dock_is_a_tab_beside_the_others_and_takes_its_maps_along(demo: Demo, result: Result) -> None:
    _, dock = demo.viewer.window.add_plugin_dock_widget("napari-hsimisr", "Quality")
    assert isinstance(dock, QualityWidget)
    window, holder = dock.window(), dock.parentWidget()
    wait_until(lambda: holder in window.tabifiedDockWidgets(demo.refine.parentWidget()))
    for layer in dock.session.frames[4:]:
        dock.session.include(layer, False)
    finish(dock.session, result, dock)
    dock.determined.setChecked(True)
    assert "determined by the frames" in demo.viewer.layers
    demo.viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    wait_until(lambda: "determined by the frames" not in demo.viewer.layers)

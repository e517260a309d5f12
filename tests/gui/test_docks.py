"""The docks in a real window, with a real engine: refine, cancel, follow, click, close."""

from __future__ import annotations

import os
import threading

import dask.array as da
import napari
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from window import canvas_of, place_of

from hsimisr.cube import Cube
from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import HeldOut
from napari_hsimisr import app
from napari_hsimisr.demo import PIXEL, Demo, wait, wait_until
from napari_hsimisr.layers import frame_layers
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.view import current_view
from napari_hsimisr.widgets.refine import RefineWidget
from napari_hsimisr.widgets.spectra import SpectraWidget


def test_refining_the_view_draws_a_layer_exactly_on_the_visible_part(demo: Demo, picture) -> None:
    session, camera = demo.refine.session, demo.viewer.scene.camera
    before = picture(demo)
    camera.zoom *= 2
    wait(0.1)
    assert session.reference is not None
    view = current_view(demo.viewer, session.reference)
    assert view.shape < (48, 48)
    demo.refine.run_view_button.click()
    wait_until(lambda: not session.busy)

    refined = session.overlays.find(REFINED)
    assert refined is not None
    assert refined.data.shape == (60, 2 * view.shape[0], 2 * view.shape[1])
    np.testing.assert_allclose(refined.data_to_world((0, -0.5, -0.5))[1:], np.array(view.origin) - 0.5)
    assert "refined" in demo.refine.status.text()
    after = picture(demo)
    assert before.shape == after.shape
    assert (before != after).any()


def test_knobs_that_are_given_stand_in_the_forms(demo: Demo) -> None:
    knobs = {"scale": 3, "psf": "gauss:1.2345", "invert": {"method": "tv", "iterations": 33}, "subspace": {"rank": 4}}
    config = PipelineConfig.model_validate(knobs)
    demo.refine.session.give_knobs(config)
    assert demo.refine.config() == config
    assert RefineWidget(demo.viewer).config() == config  # a dock that is opened later shows them too


def test_a_click_reads_the_pixel_and_a_drag_does_not(demo: Demo) -> None:
    canvas, session = canvas_of(demo), demo.refine.session
    press = {"button": Qt.MouseButton.LeftButton, "modifier": Qt.KeyboardModifier.NoModifier}
    start = place_of(demo, PIXEL)
    QTest.mousePress(canvas, press["button"], press["modifier"], start)
    for step in range(1, 5):
        QTest.mouseMove(canvas, start + QPoint(6 * step, 0))
        wait(0.02)
    QTest.mouseRelease(canvas, press["button"], press["modifier"], start + QPoint(24, 0))
    wait(0.1)
    assert session.pin is None

    QTest.mouseClick(canvas, press["button"], press["modifier"], place_of(demo, PIXEL))
    wait_until(lambda: demo.spectra.readout is not None)
    assert demo.spectra.readout is not None
    assert session.reference is not None
    pixel_on_screen = demo.viewer.scene.camera.zoom
    np.testing.assert_allclose(demo.spectra.readout.point, PIXEL, atol=1 / pixel_on_screen)
    assert len(demo.spectra.readout.frames) == 8
    assert "spectrum" in demo.viewer.layers
    assert demo.viewer.layers.selection.active is not demo.viewer.layers["spectrum"]


def test_spectra_show_frames_baseline_and_the_refined_cube_with_its_error_band(demo: Demo, picture) -> None:
    demo.refine_everything()
    demo.pick(PIXEL)
    readout = demo.spectra.readout
    assert readout is not None
    assert readout.refined is not None
    assert readout.refined.std is not None
    assert (readout.refined.std > 0).all()
    assert list(demo.spectra.plot.lines)[-2:] == ["bicubic", "refined"]
    assert demo.spectra.plot.error_bands
    picture(demo)

    demo.spectra.plot.lines["frames#3"].setVisible(False)  # what a click in the legend does
    demo.pick((10.0, 10.0))
    wait_until(lambda: demo.spectra.readout is not readout)
    assert not demo.spectra.plot.lines["frames#3"].isVisible()


def test_the_band_line_and_the_slider_move_each_other(demo: Demo) -> None:
    demo.pick_without_waiting(PIXEL)
    wait_until(lambda: demo.spectra.readout is not None)
    wavelengths = demo.spectra.readout.wavelengths  # type: ignore[union-attr]
    demo.viewer.dims.set_current_step(0, 40)
    assert demo.spectra.plot.band_line.value() == pytest.approx(wavelengths[40])
    demo.spectra.plot.band_line.setValue(wavelengths[7] + 1)
    assert demo.viewer.dims.current_step[0] == 7


def test_cancel_stops_a_long_run_and_the_next_one_works(demo: Demo) -> None:
    session = demo.refine.session
    scale, invert = demo.refine.basic.rows["scale"], demo.refine.methods.rows["invert"]
    scale.value = 8
    invert.method.value = "tv"
    invert.knobs["iterations"].value = 2000
    demo.refine.run_whole_button.click()
    wait_until(lambda: demo.refine.progress.text() != "")
    demo.refine.cancel_button.click()
    wait_until(lambda: not session.busy)
    assert "cancelled" in demo.refine.status.text()
    scale.value = 2
    invert.method.value = "lmmse"
    demo.refine_everything()
    assert session.result is not None


def test_a_refused_request_is_explained_in_the_dock(demo: Demo) -> None:
    demo.viewer.scene.camera.center = (0, 10_000, 10_000)
    wait(0.1)
    demo.refine.run_view_button.click()
    assert "not on the canvas" in demo.refine.status.text()
    assert not demo.refine.session.busy


def test_following_the_view_refines_once_after_it_has_come_to_rest(demo: Demo) -> None:
    session, runs = demo.refine.session, []
    session.busy_changed.connect(lambda busy: runs.extend(session._pending.values()) if busy else None)
    demo.refine.live.setChecked(True)
    for _ in range(5):
        demo.viewer.scene.camera.zoom *= 1.15
        wait(0.05)
    assert session.reference is not None
    view = current_view(demo.viewer, session.reference)
    wait_until(lambda: session.result is not None)
    assert [request.view for request in runs] == [view]


def test_files_are_not_read_on_the_gui_thread() -> None:
    readers: set[int] = set()

    def read(block: np.ndarray) -> np.ndarray:
        readers.add(threading.get_ident())
        return block

    viewer = napari.Viewer()
    data = da.from_array(np.random.default_rng(0).normal(size=(6, 20, 20)).astype(np.float32), chunks=(6, 5, 5))
    for array, attributes, _ in frame_layers([Cube(data.map_blocks(read, dtype=np.float32), name="slow")]):
        viewer.add_image(array, **attributes)
    spectra = SpectraWidget(viewer)
    viewer.window.add_dock_widget(spectra)
    wait(0.2)
    readers.clear()
    spectra.session.set_pin((7.0, 8.0))
    wait_until(lambda: spectra.readout is not None)
    assert readers
    assert threading.get_ident() not in readers
    viewer.close()


def test_both_docks_share_a_session_and_the_engine_ends_with_the_window(qapp) -> None:
    viewer = napari.Viewer()
    _, refine = viewer.window.add_plugin_dock_widget("napari-hsimisr", "Refine")
    _, spectra = viewer.window.add_plugin_dock_widget("napari-hsimisr", "Spectra")
    assert isinstance(refine, RefineWidget)
    assert isinstance(spectra, SpectraWidget)
    assert refine.session is spectra.session
    engine = refine.session._engine
    wait_until(lambda: engine.pid is not None)
    pid = engine.pid
    assert pid is not None

    viewer.close()
    qapp.processEvents()
    wait(0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert viewer not in app._shared
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith("hsimisr")}


def test_a_dock_can_be_closed_and_the_others_go_on(demo: Demo, qapp) -> None:
    session, docks = demo.refine.session, len(app.docks_of(demo.viewer))
    demo.pick_without_waiting(PIXEL)
    demo.viewer.window.remove_dock_widget(demo.spectra)
    demo.spectra.deleteLater()
    wait(0.2)
    demo.refine_everything()
    QTest.mouseClick(canvas_of(demo), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place_of(demo, (9, 9)))
    wait(0.2)
    assert session.result is not None
    assert len(app.docks_of(demo.viewer)) == docks - 1


def test_frames_that_are_added_and_removed_appear_in_the_list(demo: Demo) -> None:
    tree = demo.frames.findChild(QWidget, "frames")
    assert tree.topLevelItemCount() == 8
    demo.viewer.layers.remove("frames#7")
    assert tree.topLevelItemCount() == 7
    tree.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    assert len(demo.refine.session.included) == 6
    assert demo.refine.session.reference is demo.viewer.layers["frames#1"]
    demo.refine.session.refine(demo.refine.config(), whole=True)
    wait_until(lambda: not demo.refine.session.busy)
    assert demo.refine.session.request is not None
    assert View.whole((48, 48)).shape == demo.refine.session.estimate.grid.view.shape  # type: ignore[union-attr]
    assert tree.topLevelItem(1).text(1) == "+0.000"


def test_the_dock_plots_what_held_out_frames_say_of_each_run(demo: Demo) -> None:
    plot, session = demo.refine.heldout, demo.refine.session
    assert plot.isHidden()
    for event in (
        HeldOut(1, "adapt", 0, 0.0, 1.3),
        HeldOut(1, "adapt", 5, 2.0, 1.1),
        HeldOut(1, "adapt", 10, 4.0, 1.2),
    ):
        session.heldout_checked.emit(event)
    assert not plot.isHidden()
    line, best = (item.getData() for item in plot.listDataItems())
    assert (line[0].tolist(), line[1].tolist()) == ([0.0, 2.0, 4.0], [1.3, 1.1, 1.2])
    assert (best[0].tolist(), best[1].tolist()) == ([2.0], [1.1])
    session.heldout_checked.emit(HeldOut(2, "adapt", 0, 0.0, 1.5))
    assert [point.job for point in plot.points] == [2]

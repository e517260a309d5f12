"""Runs in a real window: presets, a drawn region, the list of runs, two of them compared, what is asked before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit, QMessageBox
from window import canvas_of, place_of

from hsimisr.geometry import View
from hsimisr.pipeline.presets import preset_of
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.history import Run
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.region import shapes_layer
from napari_hsimisr.run_layers import DIVIDER, A, B
from napari_hsimisr.widgets.fold import Fold

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def drag(demo: Demo, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press, move in steps, release, between two pixels of the reference frame."""
    canvas, a, b = canvas_of(demo), place_of(demo, start), place_of(demo, end)
    QTest.mouseMove(canvas, a)
    wait(0.1)
    QTest.mousePress(canvas, LEFT, NONE, a)
    for step in range(1, 9):
        QTest.mouseMove(canvas, a + (b - a) * step / 8)
        wait(0.03)
    QTest.mouseRelease(canvas, LEFT, NONE, b)
    wait(0.1)


def choose_preset(demo: Demo, title: str) -> None:
    """Open the list and type, as a person does."""
    box = demo.refine.preset
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Home)
    box.showPopup()
    view = box.view()
    assert view is not None
    item = view.model().index(box.findText(title), 0)
    view.scrollTo(item)
    QTest.mouseClick(view.viewport(), LEFT, NONE, view.visualRect(item).center())
    wait(0.3)


def finish(demo: Demo, press: Callable[[], None]) -> Run:
    """Press something that starts a run, and wait for the run."""
    session = demo.refine.session
    press()
    wait_until(lambda: not session.busy)
    assert session.result is not None, demo.refine.status.text()
    return list(session.history)[-1]


def select_runs(demo: Demo, *rows: int) -> None:
    tree = demo.refine.runs.tree
    tree.clearSelection()
    for row in rows:
        item = tree.topLevelItem(row)
        assert item is not None
        item.setSelected(True)


def open_runs(demo: Demo) -> None:
    (fold,) = demo.refine.findChildren(Fold)
    QTest.mouseClick(fold.button, LEFT)
    wait(0.1)


def test_a_preset_fills_the_forms_and_a_turned_knob_shows(demo: Demo) -> None:
    refine = demo.refine
    assert refine.preset.currentText() == "radiometric"
    refine.basic.rows["scale"].value = 3
    choose_preset(demo, "best")
    config = refine.config()
    assert (preset_of(config), config.scale) == ("best", 3)
    assert refine.session.config == config
    refine.methods.rows["refine"].knobs["held_out"].value = 1
    assert refine.preset.currentText() == "custom (from best)"
    refine.methods.rows["refine"].knobs["held_out"].value = 2
    assert refine.preset.currentText() == "best"
    choose_preset(demo, "fast preview")
    assert preset_of(refine.config()) == "fast"
    assert refine.preset.findText("custom", Qt.MatchFlag.MatchStartsWith) < 0


def test_a_region_is_drawn_with_the_mouse_and_refined(demo: Demo, picture) -> None:
    refine, session = demo.refine, demo.refine.session
    QTest.mouseClick(refine.run_region_button, LEFT)
    assert "drag a rectangle" in refine.status.text()
    wait(0.2)
    drag(demo, (10.0, 12.0), (29.6, 27.6))
    run = finish(demo, refine.run_region_button.click)
    assert run.request.kind == "region"
    view = run.result.estimate.grid.view
    np.testing.assert_allclose((view.y0, view.y1, view.x0, view.x1), (10, 31, 12, 29), atol=1)  # a pixel of the screen
    assert not run.result.scene.provisional
    layer = shapes_layer(demo.viewer)
    assert layer is not None
    assert str(layer.mode) == "select"  # it can be moved now
    refined = session.overlays.find(REFINED)
    assert refined is not None
    np.testing.assert_allclose(refined.data_to_world((0, -0.5, -0.5))[1:], np.array(view.origin) - 0.5)
    picture(demo)


def test_a_region_beside_the_frame_is_refused_and_told(demo: Demo) -> None:
    demo.viewer.add_shapes([np.array([[90, 90], [90, 99], [99, 99], [99, 90.0]])])
    demo.refine.run_region_button.click()
    assert "lies beside frames#0" in demo.refine.status.text()
    assert not demo.refine.session.busy


def test_runs_are_listed_renamed_shown_again_and_deleted(demo: Demo, picture) -> None:
    refine, session = demo.refine, demo.refine.session
    open_runs(demo)
    choose_preset(demo, "fast preview")
    first = finish(demo, refine.run_whole_button.click)
    choose_preset(demo, "radiometric")
    second = finish(demo, refine.run_view_button.click)
    tree = refine.runs.tree
    assert [tree.topLevelItem(n).text(1) for n in range(2)] == ["radiometric, ×2", "fast preview, ×2"]

    item = tree.topLevelItem(1)
    name = tree.visualItemRect(item).topLeft() + QPoint(8, 8)
    QTest.mouseClick(tree.viewport(), LEFT, NONE, name)
    QTest.mouseDClick(tree.viewport(), LEFT, NONE, name)
    editor = tree.findChild(QLineEdit)
    assert editor is not None
    editor.selectAll()
    QTest.keyClicks(editor, "a look")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait(0.1)
    assert session.history.find(first.number).name == "a look"  # type: ignore[union-attr]
    assert tree.topLevelItem(1).text(0) == "a look"

    refine.live.setChecked(True)
    wait_until(lambda: session.busy)
    wait_until(lambda: not session.busy)
    assert session.result is not first.result
    select_runs(demo, 2)
    refine.runs.restore_button.click()
    assert session.result is first.result
    assert not refine.live.isChecked()
    assert refine.preset.currentText() == "fast preview"
    assert refine.config() == first.result.config
    wait(0.6)  # longer than the knobs take to settle
    assert not session.busy
    assert session.result is first.result
    picture(demo)

    select_runs(demo, 0, 1)
    refine.runs.delete_button.click()
    assert [run.number for run in session.history] == [first.number]
    assert second.number not in {run.number for run in session.history}


@pytest.fixture
def two_runs(demo: Demo) -> tuple[Run, Run]:
    open_runs(demo)
    choose_preset(demo, "fast preview")
    first = finish(demo, demo.refine.run_whole_button.click)
    choose_preset(demo, "radiometric")
    second = finish(demo, demo.refine.run_whole_button.click)
    select_runs(demo, 0, 1)
    return first, second


def drawn(demo: Demo, kind: str):
    return demo.refine.runs.pair._layers.find(kind)


def test_the_curtain_shows_the_older_run_left_and_the_newer_one_right(demo: Demo, two_runs, picture) -> None:
    first, second = two_runs
    runs, dims = demo.refine.runs, demo.viewer.dims
    QTest.mouseClick(runs.curtain_button, LEFT)
    wait_until(lambda: drawn(demo, DIVIDER) is not None)
    band = dims.current_step[0]
    whole = [run.result.estimate.bands(np.array([band]))[0] for run in (first, second)]
    a, b = drawn(demo, A), drawn(demo, B)
    np.testing.assert_array_equal(a.data, whole[0][:, :48])
    np.testing.assert_array_equal(b.data, whole[1][:, 48:])
    np.testing.assert_allclose(a.data_to_world((-0.5, 47.5)), (-0.5, 23.5), atol=1e-9)
    np.testing.assert_allclose(b.data_to_world((-0.5, -0.5)), (-0.5, 23.5), atol=1e-9)

    a.contrast_limits = (1.0, 2.0)
    assert b.contrast_limits == [1.0, 2.0]
    runs.curtain.setValue(50)
    assert (a.data.shape[1], b.data.shape[1]) == (24, 72)
    camera = tuple(demo.viewer.scene.camera.center)
    drag(demo, (20.0, 11.5), (20.0, 35.5))  # the divider stands at a quarter: 11.5
    assert (a.data.shape[1], b.data.shape[1]) == pytest.approx((72, 24), abs=1)
    assert runs.curtain.value() == pytest.approx(150, abs=2)
    assert tuple(demo.viewer.scene.camera.center) == camera
    drag(demo, (20.0, 10.0), (20.0, 16.0))  # beside the divider: the canvas pans
    assert tuple(demo.viewer.scene.camera.center) != camera

    dims.set_current_step(0, 40)
    expected = first.result.estimate.bands(np.array([40]))[0]
    wait_until(lambda: np.array_equal(a.data[:, :70], expected[:, :70]))
    picture(demo)
    QTest.mouseClick(runs.curtain_button, LEFT)
    assert [drawn(demo, kind) for kind in (A, B, DIVIDER)] == [None, None, None]
    assert not runs.curtain.isVisible()


def test_blinking_shows_the_two_by_turns_and_ends_with_a_click(demo: Demo, two_runs) -> None:
    runs = demo.refine.runs
    refined = demo.refine.session.overlays.find(REFINED)
    assert refined is not None
    QTest.mouseClick(runs.blink_button, LEFT)
    wait_until(lambda: drawn(demo, B) is not None)
    assert drawn(demo, A).data.shape == drawn(demo, B).data.shape == (96, 96)
    seen = set()
    b = drawn(demo, B)
    wait_until(lambda: seen.add(b.opacity) or len(seen) == 2)  # type: ignore[func-returns-value]
    assert seen == {0.0, 1.0}
    assert not refined.visible
    select_runs(demo, 0)  # the comparison goes on whatever is selected meanwhile
    QTest.mouseClick(runs.curtain_button, LEFT)  # from one to the other
    wait_until(lambda: drawn(demo, DIVIDER) is not None)
    assert runs.curtain_button.isChecked()
    assert not runs.blink_button.isChecked()
    assert (b.opacity, refined.visible) == (1.0, True)
    QTest.mouseClick(runs.curtain_button, LEFT)
    assert drawn(demo, A) is None


def test_a_comparison_ends_when_a_run_or_a_layer_of_it_goes(demo: Demo, two_runs) -> None:
    runs = demo.refine.runs
    runs.curtain_button.click()
    wait_until(lambda: drawn(demo, DIVIDER) is not None)
    demo.viewer.layers.remove(drawn(demo, B))
    assert [drawn(demo, kind) for kind in (A, B, DIVIDER)] == [None, None, None]
    assert not runs.curtain_button.isChecked()
    runs.blink_button.click()
    wait_until(lambda: drawn(demo, B) is not None)
    select_runs(demo, 1)
    runs.delete_button.click()
    assert drawn(demo, A) is None
    assert not runs.blink_button.isChecked()


def test_a_long_run_is_asked_about_first(demo: Demo, monkeypatch) -> None:
    refine, session = demo.refine, demo.refine.session
    finish(demo, refine.run_view_button.click)
    monkeypatch.setattr("napari_hsimisr.forecast.LONG_S", 1e-3)

    def answer(role: QMessageBox.ButtonRole) -> str:
        refine.run_whole_button.click()
        assert not session.busy
        (box,) = refine.findChildren(QMessageBox)
        text = box.text() + box.informativeText()
        (button,) = (button for button in box.buttons() if box.buttonRole(button) == role)
        QTest.mouseClick(button, LEFT)
        wait(0.2)
        return text

    text = answer(QMessageBox.ButtonRole.RejectRole)
    assert "everything takes long" in text
    assert "hsimisr refine" in text
    assert not session.busy
    answer(QMessageBox.ButtonRole.AcceptRole)
    wait_until(lambda: not session.busy)
    assert session.estimate is not None
    assert session.estimate.grid.view == View(0, 48, 0, 48)

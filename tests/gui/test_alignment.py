"""The Alignment dock in a real window: what it shows follows the motion, and what is changed there comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.layers import Image, Vectors
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import translation
from hsimisr.io.write import write_cube
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.store import for_frames, write_registration
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.inspection import Look
from napari_hsimisr.inspection_layers import ARROWS, CHECKERBOARD, DIFFERENCE, FIELD
from napari_hsimisr.layers import PRODUCT, cube_of
from napari_hsimisr.reader import read
from napari_hsimisr.view import world_at
from napari_hsimisr.widgets.alignment import AlignmentWidget
from napari_hsimisr.widgets.motion_table import COLUMNS

H, W, BANDS = 28, 32, 6
SHIFTS = ((0.0, 0.0), (0.5, -1.25), (-1.5, 0.75))
REACH = 0.3  # LR pixels
NONE = Qt.KeyboardModifier.NoModifier


def frame(shift: tuple[float, float], k: int) -> np.ndarray:
    """Waves no shorter than 7 pixels, moved exactly, with noise of a thousandth of their height."""
    y, x = np.mgrid[:H, :W] - np.reshape(shift, (2, 1, 1))
    bands = [
        100 + 10 * np.sin(y / (1.2 + 0.1 * b)) * np.cos(x / 1.5) + 10 * np.sin((x + b * y) / (2 + b))
        for b in range(BANDS)
    ]
    return (np.stack(bands) + np.random.default_rng(k).normal(0, 0.01, (BANDS, H, W))).astype(np.float32)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three frames of one smooth scene."""
    paths = []
    for k, shift in enumerate(SHIFTS):
        path = tmp_path / f"frame{k}.npz"
        write_cube(path, Cube.from_array(frame(shift, k), wavelengths=500 + 20 * np.arange(BANDS), name=f"frame{k}"))
        paths.append(str(path))
    return paths


@pytest.fixture
def registration_file(files: list[str], tmp_path: Path) -> Path:
    """The true motions of the frames, the last one with a local field in a corner, of length `REACH`."""
    field = np.zeros((2, H, W), np.float32)
    field[:, :4, :4] = REACH / np.sqrt(2)
    motions = [FrameMotion(translation(shift), covariance=1e-4 * np.eye(2)) for shift in SHIFTS]
    motions[0] = FrameMotion(np.eye(3))
    motions[2] = FrameMotion(translation(SHIFTS[2]), covariance=1e-4 * np.eye(2), field=field, model="local")
    path = tmp_path / "registration.json"
    write_registration(path, Registration(tuple(motions)), [Path(f) for f in files], np.full(BANDS, 0.01), "mtf:0.29")
    return path


@pytest.fixture
def dock(files: list[str], qapp) -> Iterator[AlignmentWidget]:
    """The dock in a window with the three frames, nothing known yet."""
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    for data, attributes, _ in read(files):
        viewer.add_image(data, **attributes)
    dock = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Alignment", area="right")
    wait(0.3)
    viewer.reset_view()
    yield dock
    viewer.close()
    qapp.processEvents()


@pytest.fixture
def loaded(dock: AlignmentWidget, registration_file: Path) -> AlignmentWidget:
    """The dock once the true motions are loaded, the second frame selected."""
    dock.load(registration_file)
    wait_until(lambda: bool(dock.session.motions))
    dock.table.choose(dock.session.frames[1])
    return dock


def layer_of(dock: AlignmentWidget, kind: str) -> Image | Vectors | None:
    return next((layer for layer in dock.session.viewer.layers if layer.metadata.get(PRODUCT) == kind), None)


def drawn(dock: AlignmentWidget, kind: str) -> np.ndarray:
    """The data of a layer once the background has come to rest."""
    wait_until(lambda: layer_of(dock, kind) is not None)
    wait(0.3)
    return np.asarray(layer_of(dock, kind).data)  # type: ignore[union-attr]


def canvas_of(dock: AlignmentWidget) -> QWidget:
    (canvas,) = (w for w in dock.window().findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop")
    return canvas


def cells(dock: AlignmentWidget, row: int) -> dict[str, str]:
    item = dock.table.topLevelItem(row)
    return dict(zip(COLUMNS, (item.text(column) for column in range(len(COLUMNS))), strict=True))


def press(dock: AlignmentWidget, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> None:
    """A key on the canvas, once the window takes keys at all."""
    dock.window().activateWindow()
    wait_until(dock.window().isActiveWindow)
    canvas_of(dock).setFocus()
    QTest.keyClick(canvas_of(dock), key, modifier)
    wait(0.02)


def test_a_run_fills_the_table_with_the_motions_it_found(dock: AlignmentWidget, registration_file: Path) -> None:
    assert cells(dock, 1)["Δy (px)"] == ""
    dock.register_button.click()
    wait_until(lambda: not dock.session.busy)
    for row, (layer, shift) in enumerate(zip(dock.session.frames, SHIFTS, strict=True)):
        np.testing.assert_allclose(dock.session.motions[layer].shift, shift, atol=0.05)
        told = cells(dock, row)["Δy (px)"].split(" ")[0]
        assert float(told) == pytest.approx(dock.session.motions[layer].shift[0], abs=0.06)
    assert "Registered" in dock.origin.text()
    dock.undo_button.click()
    assert cells(dock, 1)["Δy (px)"] == ""
    dock.redo_button.click()

    dock.save(registration_file)
    wait_until(lambda: "saved" in dock.status.text())
    layers = dock.session.frames
    found = for_frames(registration_file, FrameStack(tuple(cube for layer in layers if (cube := cube_of(layer)))))
    np.testing.assert_allclose(found.shifts, [dock.session.motions[layer].shift for layer in layers])


def test_a_key_moves_layer_and_table_and_undo_brings_both_back(loaded: AlignmentWidget) -> None:
    layer = loaded.session.frames[1]
    before, text = world_at(layer, (9.0, 9.0)), cells(loaded, 1)
    loaded.adjust_button.click()
    band = loaded.session.viewer.dims.current_step[0]
    press(loaded, Qt.Key.Key_Down)
    press(loaded, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_allclose(np.subtract(world_at(layer, (9.0, 9.0)), before), (0.05, 0.5), atol=1e-9)
    assert loaded.session.viewer.dims.current_step[0] == band
    assert cells(loaded, 1)["Δy (px)"] == "+0.450"  # content that moves down by 0.05 stood 0.5 too far down
    assert "✎" in cells(loaded, 1)["Frame"]
    loaded.undo_button.click()
    loaded.undo_button.click()
    np.testing.assert_allclose(world_at(layer, (9.0, 9.0)), before)
    assert cells(loaded, 1) == text

    loaded.adjust_button.click()
    press(loaded, Qt.Key.Key_Left)
    assert loaded.session.viewer.dims.current_step[0] == band - 1
    np.testing.assert_allclose(world_at(layer, (9.0, 9.0)), before)


def drag(dock: AlignmentWidget, pixels: int) -> None:
    """Drag to the right on the canvas, by screen pixels."""
    canvas, start = canvas_of(dock), QPoint(150, 150)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, NONE, start)
    for step in range(1, 5):
        QTest.mouseMove(canvas, start + QPoint(pixels * step // 4, 0))
        wait(0.02)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, NONE, start + QPoint(pixels, 0))
    wait(0.05)


def test_a_drag_moves_the_frame_in_one_step_and_pans_only_when_adjusting_is_off(loaded: AlignmentWidget) -> None:
    layer, camera = loaded.session.frames[1], loaded.session.viewer.scene.camera
    before, centre = world_at(layer, (9.0, 9.0)), camera.center
    loaded.adjust_button.click()
    drag(loaded, 40)
    np.testing.assert_allclose(np.subtract(world_at(layer, (9.0, 9.0)), before), (0, 40 / camera.zoom), atol=1e-6)
    assert camera.center == centre
    loaded.undo_button.click()
    np.testing.assert_allclose(world_at(layer, (9.0, 9.0)), before)
    loaded.adjust_button.click()
    drag(loaded, 40)
    np.testing.assert_allclose(world_at(layer, (9.0, 9.0)), before)
    assert camera.center != centre


def test_the_difference_is_nothing_where_frames_are_aligned_and_follows_motion_and_band(
    loaded: AlignmentWidget,
) -> None:
    """Contrast is some 40; noise of both frames 0.014, the spline's error at waves of 7 pixels below 1 % of 10."""
    viewer, (reference, other, _) = loaded.session.viewer, loaded.session.frames
    loaded.choose_look(Look.DIFFERENCE)
    aligned = drawn(loaded, DIFFERENCE)
    layer = layer_of(loaded, DIFFERENCE)
    assert layer is not None
    assert aligned.shape == (H, W)
    inside = np.s_[8:-8, 8:-8]
    assert np.abs(aligned[inside]).max() < 0.15
    np.testing.assert_allclose(layer.data_to_world((0, 0)), world_at(reference, (0, 0)))

    loaded.session.alignment.nudge(other, (0.5, 0.5), reference)
    moved = drawn(loaded, DIFFERENCE)
    assert layer_of(loaded, DIFFERENCE) is layer
    assert np.sqrt(np.mean(moved[inside] ** 2)) > 1
    band = viewer.dims.current_step[0]
    viewer.dims.set_current_step(0, band - 1)
    assert np.abs(drawn(loaded, DIFFERENCE)[inside] - moved[inside]).max() > 0.1
    limits = layer.contrast_limits
    assert limits[0] == pytest.approx(-limits[1])

    viewer.scene.camera.zoom *= 2
    assert drawn(loaded, DIFFERENCE).shape < (H, W)
    loaded.choose_look(Look.OFF)
    wait_until(lambda: layer_of(loaded, DIFFERENCE) is None)


def test_the_checkerboard_shows_both_frames_in_squares(loaded: AlignmentWidget) -> None:
    loaded.choose_look(Look.CHECKERBOARD)
    board = drawn(loaded, CHECKERBOARD)
    reference = loaded.session.frames[0]
    band = loaded.session.viewer.dims.current_step[0]
    cube = cube_of(reference)
    assert cube is not None
    np.testing.assert_allclose(board[8:16, 8:16], cube.read()[band, 8:16, 8:16], rtol=1e-6)
    assert np.abs(board[8:16, 16:24] - cube.read()[band, 8:16, 16:24]).max() > 0
    loaded.squares.setValue(4)
    assert np.abs(drawn(loaded, CHECKERBOARD) - board)[8:24, 8:24].max() > 0


def test_flicker_shows_the_two_by_turns_and_gives_everything_back(loaded: AlignmentWidget) -> None:
    layers = loaded.session.viewer.layers
    before = [(layer.visible, layer.opacity) for layer in layers]
    reference, other, third = loaded.session.frames
    loaded.rate.setValue(10)
    loaded.choose_look(Look.FLICKER)
    wait_until(lambda: loaded.inspection.flicker.running)
    assert (reference.visible, other.visible, third.visible) == (True, True, False)
    seen = set()
    for _ in range(30):
        wait(0.02)
        seen.add(other.opacity)
    assert seen == {0.0, 1.0}
    loaded.table.choose(third)
    wait_until(lambda: third.visible)
    assert (other.visible, other.opacity) == (False, 1.0)
    loaded.choose_look(Look.OFF)
    assert [(layer.visible, layer.opacity) for layer in layers] == before


def test_a_closed_dock_leaves_the_canvas_as_it_was(loaded: AlignmentWidget) -> None:
    viewer = loaded.session.viewer
    before = [(layer.name, layer.visible, layer.opacity) for layer in viewer.layers]
    callbacks = len(viewer.mouse_drag_callbacks)
    for _ in range(3):  # on, off, on
        loaded.adjust_button.click()
    loaded.arrows.setChecked(True)
    drawn(loaded, DIFFERENCE)
    loaded.choose_look(Look.FLICKER)
    wait_until(lambda: loaded.inspection.flicker.running)
    assert len(viewer.mouse_drag_callbacks) == callbacks + 1
    viewer.window.remove_dock_widget(loaded)
    loaded.deleteLater()
    wait(0.3)
    assert [(layer.name, layer.visible, layer.opacity) for layer in viewer.layers] == before
    assert len(viewer.mouse_drag_callbacks) == callbacks


def test_arrows_and_local_field_lie_on_the_reference(loaded: AlignmentWidget) -> None:
    assert not loaded.field.isEnabled()
    loaded.arrows.setChecked(True)
    arrows = drawn(loaded, ARROWS)
    y, x = arrows[:, 1].mean(0)
    assert y / x == pytest.approx(SHIFTS[1][0] / SHIFTS[1][1])
    loaded.table.choose(loaded.session.frames[2])
    assert loaded.field.isEnabled()
    loaded.field.setChecked(True)
    reach = drawn(loaded, FIELD)
    assert reach.shape == (H, W)
    assert reach[:4, :4] == pytest.approx(REACH, abs=1e-6)
    assert reach[6:, 6:].max() == 0
    loaded.table.choose(loaded.session.frames[1])
    wait_until(lambda: layer_of(loaded, FIELD) is None)


def test_what_is_saved_loads_again_and_what_cannot_be_is_said(loaded: AlignmentWidget, tmp_path: Path) -> None:
    session = loaded.session
    session.alignment.nudge(session.frames[1], (0.3, 0.1), session.frames[0])
    shift = session.motions[session.frames[1]].shift
    loaded.save(tmp_path / "mine.json")
    wait_until(lambda: "saved" in loaded.status.text())
    assert (tmp_path / "mine.npz").exists()
    session.alignment.start_over()
    assert not loaded.fixed.isChecked()
    loaded.load(tmp_path / "mine.json")
    wait_until(lambda: loaded.fixed.isChecked())
    np.testing.assert_array_equal(session.motions[session.frames[1]].shift, shift)
    assert not loaded.register_button.isEnabled()

    loaded.load(tmp_path / "nothing.json")
    wait_until(lambda: "cannot be read" in loaded.status.text())
    assert loaded.load_button.isEnabled()
    session.viewer.add_image(np.zeros((BANDS, H, W), np.float32), name="drawn")
    session.alignment.nudge(session.frames[3], (1.0, 0.0), session.frames[0])
    loaded.save(tmp_path / "mine.json")
    assert "drawn comes from none" in loaded.status.text()


def test_unticking_a_frame_leaves_it_out_and_can_be_undone(loaded: AlignmentWidget) -> None:
    loaded.table.topLevelItem(2).setCheckState(0, Qt.CheckState.Unchecked)
    assert len(loaded.session.included) == 2
    loaded.undo_button.click()
    assert loaded.table.topLevelItem(2).checkState(0) == Qt.CheckState.Checked


def test_a_frame_that_a_run_left_out_says_why_and_gets_another_chance(loaded: AlignmentWidget) -> None:
    session, third = loaded.session, loaded.session.frames[2]
    state = session.alignment.state
    out = FrameMotion(translation((9, 9)), excluded=True, weight=0.0, reason="shows another scene", chi2=7.5)
    session.alignment._push(replace(state, motions={**state.motions, third: out}))
    item = loaded.table.topLevelItem(2)
    assert item.checkState(0) == Qt.CheckState.Unchecked
    assert "shows another scene" in item.toolTip(0)
    assert (cells(loaded, 2)["Δy (px)"], cells(loaded, 2)["χ²"]) == ("out", "7.50")
    item.setCheckState(0, Qt.CheckState.Checked)
    assert not session.motions[third].excluded


def test_the_reference_is_not_moved_and_the_dock_says_so(loaded: AlignmentWidget) -> None:
    loaded.table.choose(loaded.session.frames[0])
    loaded.nudge((1.0, 0.0))
    assert "is the reference" in loaded.status.text()


def test_the_dock_fits_beside_the_canvas_of_a_laptop(loaded: AlignmentWidget) -> None:
    assert loaded.width() <= 450
    assert canvas_of(loaded).width() >= 400


def test_the_docks_share_what_is_known(demo: Demo) -> None:
    demo.refine_everything()
    layer = demo.viewer.layers["frames#2"]
    demo.alignment.table.choose(layer)
    demo.frames.aligned.setChecked(False)
    demo.alignment.adjust_button.click()
    assert demo.frames.aligned.isChecked()
    demo.alignment.nudge((0.0, 0.25))
    row = demo.frames.findChild(QWidget, "frames").topLevelItem(2)
    assert float(row.text(2)) == pytest.approx(demo.refine.session.motions[layer].shift[1], abs=1e-3)
    demo.refine.basic.rows["scale"].value = 3
    assert demo.refine.session.config.scale == 3

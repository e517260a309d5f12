"""The Frames dock in a real window: files come in without a wait, broken ones are named, the list is the user's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import napari
import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from hsimisr.cube import Cube
from hsimisr.io import open as opening
from hsimisr.io.write import write_cube
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.layers import cube_of
from napari_hsimisr.recent import Recent
from napari_hsimisr.widgets.frames_dock import FramesWidget

H, W, BANDS = 12, 15, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames, one of them cut off, and a text."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(3):
        data = np.random.default_rng(k).uniform(1, 2, (BANDS, H, W)).astype(np.float32)
        cube = Cube.from_array(
            data,
            wavelengths=500 + 20 * np.arange(BANDS),
            fwhm=np.full(BANDS, 9.0),
            bad=np.arange(BANDS) == 2,
            nodata=-1.0,
            crs="EPSG:32633",
        )
        write_cube(folder / f"frame{k}.hdr", cube)
    image = folder / "frame1.img"
    image.write_bytes(image.read_bytes()[:-40])
    (folder / "notes.txt").write_text("not a cube")
    return folder


@pytest.fixture
def dock(qapp) -> Iterator[FramesWidget]:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = FramesWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Frames", area="right")
    wait(0.2)
    yield dock
    viewer.close()
    qapp.processEvents()


def opened(dock: FramesWidget) -> list[str]:
    """The names of the frames once everything is open."""
    wait_until(lambda: not dock.opener.busy)
    return [layer.name for layer in dock.session.frames]


def test_a_folder_opens_without_its_broken_file_which_is_named(dock: FramesWidget, folder: Path) -> None:
    dock.open([str(folder)])
    assert opened(dock) == ["frame0", "frame2"]
    assert "2 frames opened, 1 could not be read" in dock.status.text()
    assert "frame1" in dock.status.text()
    assert "cut off" in dock.status.text()
    assert [layer.visible for layer in dock.session.frames] == [True, False]


def test_nothing_is_read_on_the_gui_thread(dock: FramesWidget, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers, read = set(), opening._read

    def note_thread(source):
        readers.add(threading.get_ident())
        return read(source)

    monkeypatch.setattr(opening, "_read", note_thread)
    dock.open([str(folder / "frame0.hdr")])
    assert opened(dock) == ["frame0"]
    assert readers
    assert threading.get_ident() not in readers


def test_files_that_are_asked_for_meanwhile_all_arrive_in_order(dock: FramesWidget, folder: Path) -> None:
    for name in ("frame2.hdr", "frame0.hdr", "frame2.img"):
        dock.open([str(folder / name)])
    assert opened(dock) == ["frame2", "frame0", "frame2 [1]"]


def test_bands_and_datasets_open_as_frames(dock: FramesWidget, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "sequence.npz", images=random.uniform(size=(5, H, W)), other=random.uniform(size=(4, 4)))
    np.save(tmp_path / "stack.npy", random.uniform(size=(3, BANDS, H, W)))
    dock.bands_as_frames.click()
    dock.open([str(tmp_path / "sequence.npz")])
    assert len(opened(dock)) == 5
    assert {layer.data.shape for layer in dock.session.frames} == {(1, H, W)}
    dock.bands_as_frames.click()
    dock.open([str(tmp_path / "stack.npy")])
    assert opened(dock)[5:] == ["stack#0", "stack#1", "stack#2"]

    QTest.keyClicks(dock.path, f"{tmp_path / 'stack.npy'}#1")
    QTest.keyClick(dock.path, Qt.Key.Key_Return)
    assert opened(dock)[8:] == ["stack#1 [1]"]
    assert dock.path.text() == ""
    QTest.keyClicks(dock.path, f"{tmp_path / 'sequence.npz'}:nothing")
    QTest.keyClick(dock.path, Qt.Key.Key_Return)
    assert len(opened(dock)) == 9
    assert "no array named 'nothing'" in dock.status.text()


def test_files_dropped_on_the_dock_are_opened(dock: FramesWidget, folder: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder / "frame2.hdr"))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, buttons, keys)
    QApplication.sendEvent(dock, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(dock, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, buttons, keys))
    assert opened(dock) == ["frame2"]


def test_the_selected_frame_tells_what_its_file_holds(dock: FramesWidget, folder: Path) -> None:
    dock.open([str(folder / "frame0.hdr"), str(folder / "frame2.hdr")])
    opened(dock)
    dock.list.choose(dock.session.frames[1])
    text = dock.metadata.toPlainText().replace("\xa0", " ")
    for part in (
        "frame2", str(folder / "frame2.hdr"), "6 bands, 12 x 15 pixels, float32", "500.00 to 600.00 nm",
        "9.00 to 9.00 nm", "1 (2, counted from 0)", "-1", "EPSG:32633",
    ):  # fmt: skip
        assert part in text


def test_frames_are_moved_and_removed_by_keys_and_buttons(dock: FramesWidget, folder: Path) -> None:
    dock.open([str(folder)])
    dock.open([str(folder / "frame0.hdr")])
    assert opened(dock) == ["frame0", "frame2", "frame0 [1]"]
    dock.list.choose(dock.session.frames[2])
    dock.up_button.click()
    dock.up_button.click()
    assert opened(dock) == ["frame0 [1]", "frame0", "frame2"]
    assert not dock.up_button.isEnabled()
    assert dock.session.reference is dock.session.frames[0]

    dock.window().activateWindow()
    wait_until(dock.window().isActiveWindow)
    tree = dock.list.findChild(object, "frames")
    tree.setFocus()
    QTest.keyClick(tree, Qt.Key.Key_Delete)
    assert opened(dock) == ["frame0", "frame2"]
    assert dock.list.layer is dock.session.frames[0]
    dock.remove_button.click()
    dock.remove_button.click()
    assert opened(dock) == []
    assert not dock.remove_button.isEnabled()


def test_recent_files_open_again_and_those_that_are_gone_are_told(dock: FramesWidget, folder: Path) -> None:
    for names in (("frame0.hdr",), ("frame0.hdr", "frame2.hdr")):
        dock.open([str(folder / name) for name in names])
    opened(dock)
    assert [str(each) for each in Recent().openings] == ["frame0.hdr and 1 more", "frame0.hdr"]
    for name in ("frame0.hdr", "frame0.img"):
        (folder / name).unlink()

    dock._fill_recent()
    dock.recent_menu.actions()[0].trigger()
    assert len(opened(dock)) == 4
    assert "frame0.hdr: no such file" in dock.status.text()
    assert "taken out" in dock.status.text()
    dock._fill_recent()
    assert [action.text() for action in dock.recent_menu.actions()][:1] == ["frame2.hdr"]
    assert Recent().openings[0].paths == (str(folder / "frame2.hdr"),)


def test_the_sample_is_one_click_away_and_no_recent_file(dock: FramesWidget) -> None:
    dock.sample_button.click()
    assert opened(dock) == [f"frames#{k}" for k in range(8)]
    assert [layer.visible for layer in dock.session.frames] == [True] + 7 * [False]
    cube = cube_of(dock.session.reference)
    assert cube is not None
    assert cube.wavelengths is not None
    assert Recent().openings == []


def test_a_window_that_closes_while_files_are_opened_gets_no_layers(dock: FramesWidget, folder: Path) -> None:
    viewer = dock.session.viewer
    dock.open([str(folder)] * 5)
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    wait(0.5)
    before = len(viewer.layers)
    wait(0.5)
    assert len(viewer.layers) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hsimisr-open")]


def test_the_dock_fits_a_laptop_and_is_reached_by_tab(dock: FramesWidget) -> None:
    assert dock.width() <= 450
    assert dock.minimumSizeHint().height() < 400
    dock.sample_button.click()
    opened(dock)
    dock.window().activateWindow()
    wait_until(dock.window().isActiveWindow)
    dock.list.choose(dock.session.frames[1])
    dock.files_button.setFocus()
    reached = []
    for _ in range(16):
        reached.append(QApplication.focusWidget())
        QTest.keyClick(reached[-1], Qt.Key.Key_Tab)
    wanted = [dock.files_button, dock.folder_button, dock.recent_button, dock.sample_button, dock.path]
    wanted += [dock.bands_as_frames, dock.list.findChild(object, "frames"), dock.list._reference, dock.up_button]
    wanted += [dock.down_button, dock.remove_button, dock.aligned, dock.metadata]
    assert [widget for widget in reached if widget in wanted] == wanted


def test_the_list_shows_shifts_once_they_are_known(demo: Demo) -> None:
    demo.refine_everything()
    tree = demo.frames.list.findChild(object, "frames")
    shift = demo.refine.session.motions[demo.viewer.layers["frames#3"]].shift
    assert [float(tree.topLevelItem(3).text(column)) for column in (1, 2)] == pytest.approx(list(shift), abs=5e-4)

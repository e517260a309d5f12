"""The workbench in a real window: every dock once, where it belongs, within a laptop's screen."""

from __future__ import annotations

from collections.abc import Iterator

import napari
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_hsimisr import app
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.workbench import CANCEL_KEYS, REFINE_KEYS, Workbench

TITLES = ("Frames", "Alignment", "Refine", "Quality", "Export", "Spectra")
NAMES = {f"{title} (Hyperspectral super-resolution)" for title in TITLES}
RIGHT, BELOW = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea


@pytest.fixture
def viewer(qapp) -> Iterator[napari.Viewer]:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    wait(0.1)
    yield viewer
    viewer.close()
    qapp.processEvents()


def dock_of(widget: QWidget) -> QDockWidget:
    dock = widget.parentWidget()
    assert isinstance(dock, QDockWidget)
    return dock


def open_from_menu(viewer: napari.Viewer) -> None:
    viewer.window.add_plugin_dock_widget("napari-hsimisr", "Open the workbench")
    wait(0.5)


def test_the_menu_opens_every_dock_at_its_place_and_goes(viewer: napari.Viewer) -> None:
    open_from_menu(viewer)
    assert set(viewer.window.dock_widgets) == NAMES
    bench = Workbench(viewer)
    window = bench.refine.window()
    assert isinstance(window, QMainWindow)
    tabs = [bench.frames, bench.alignment, bench.refine, bench.quality, bench.export]
    assert {window.dockWidgetArea(dock_of(widget)) for widget in tabs} == {RIGHT}
    assert set(window.tabifiedDockWidgets(dock_of(bench.frames))) == {dock_of(widget) for widget in tabs[1:]}
    assert window.dockWidgetArea(dock_of(bench.spectra)) == BELOW
    assert bench.frames.isVisible()
    assert bench.refine.visibleRegion().isEmpty()
    assert bench.spectra.isVisible()
    assert len({widget.session for widget in (*tabs, bench.spectra)}) == 1
    assert len(app.docks_of(viewer)) == len(TITLES)


def test_it_fits_a_laptop_whichever_tab_is_in_front(viewer: napari.Viewer) -> None:
    open_from_menu(viewer)
    bench = Workbench(viewer)
    bench.frames.sample_button.click()
    wait_until(lambda: not bench.frames.opener.busy)
    window = bench.refine.window()
    (canvas,) = (w for w in window.findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop")
    for widget in (bench.frames, bench.alignment, bench.refine, bench.quality, bench.export):
        dock_of(widget).raise_()
        wait(0.2)
        assert (window.width(), window.height()) == (1366, 768)
        assert min(canvas.width(), canvas.height()) >= 350


def test_a_second_call_opens_nothing_and_brings_hidden_docks_back(viewer: napari.Viewer) -> None:
    open_from_menu(viewer)
    bench = Workbench(viewer)
    dock_of(bench.spectra).hide()
    dock_of(bench.quality).raise_()
    open_from_menu(viewer)
    assert set(viewer.window.dock_widgets) == NAMES
    assert bench.spectra.isVisible()
    assert not bench.frames.visibleRegion().isEmpty()
    assert len(app.docks_of(viewer)) == len(TITLES)


def test_docks_that_were_opened_one_by_one_or_closed_are_found(viewer: napari.Viewer) -> None:
    _, refine = viewer.window.add_plugin_dock_widget("napari-hsimisr", "Refine")
    bench = Workbench(viewer)
    assert bench.refine is refine
    assert len(viewer.window.dock_widgets) == len(TITLES)
    viewer.window.remove_dock_widget(bench.quality)
    again = Workbench(viewer)
    assert again.quality is not bench.quality
    assert again.frames is bench.frames
    assert len(viewer.window.dock_widgets) == len(TITLES)


def test_keys_refine_and_cancel_while_another_tab_is_in_front(demo: Demo) -> None:
    session, window = demo.refine.session, demo.refine.window()
    dock_of(demo.alignment).raise_()
    window.activateWindow()
    wait_until(window.isActiveWindow)
    (canvas,) = (w for w in window.findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop")
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert session.busy
    QTest.keyClick(canvas, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    wait_until(lambda: not session.busy)
    assert "cancelled" in demo.refine.status.text()
    assert REFINE_KEYS in demo.refine.run_view_button.toolTip()
    assert CANCEL_KEYS in demo.refine.cancel_button.toolTip()

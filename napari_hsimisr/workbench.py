"""The docks at their places: one call opens those that are missing and brings the others to the front."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence, QShowEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QPushButton, QShortcut, QWidget

from napari_hsimisr.app import docks_of
from napari_hsimisr.widgets.alignment import AlignmentWidget
from napari_hsimisr.widgets.export import ExportWidget
from napari_hsimisr.widgets.frames_dock import FramesWidget
from napari_hsimisr.widgets.quality import QualityWidget
from napari_hsimisr.widgets.refine import RefineWidget
from napari_hsimisr.widgets.spectra import SpectraWidget

if TYPE_CHECKING:
    import napari

PLUGIN = "Hyperspectral super-resolution"  # as the menu of plugins has it: its entries know docks by their names
RIGHT = {
    "Frames": FramesWidget,
    "Alignment": AlignmentWidget,
    "Refine": RefineWidget,
    "Quality": QualityWidget,
    "Export": ExportWidget,
}
BELOW = {"Spectra": SpectraWidget}
BELOW_SHARE = 0.3
"""Height of the dock below over that of the window."""
REFINE_KEYS, CANCEL_KEYS = "Ctrl+Return", "Ctrl+."
Dock = TypeVar("Dock", bound=QWidget)


class Workbench:
    """The docks of a viewer; making one opens those that are missing."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        missing = [title for title, kind in {**RIGHT, **BELOW}.items() if _find(viewer, kind) is None]
        for title in missing:
            self._open(title)
        self.frames, self.alignment, self.refine, self.quality, self.export = map(self._get, RIGHT.values())
        self.spectra = self._get(SpectraWidget)
        window = self.refine.window()
        if isinstance(window, QMainWindow):
            _lend_keys(window, REFINE_KEYS, self.refine.run_view_button)
            _lend_keys(window, CANCEL_KEYS, self.refine.cancel_button)
        self.bring_to_front()

    def bring_to_front(self) -> None:
        """Show every dock; of the tabs, the one to begin with."""
        first = self.refine if self.refine.session.frames else self.frames
        for widget in (self.frames, self.alignment, self.refine, self.quality, self.export, self.spectra, first):
            dock = _dock_of(widget)
            dock.show()
            dock.raise_()

    def _open(self, title: str) -> None:
        """Add a dock: below, or as a tab on the right; the corners belong to the sides, which need the height."""
        viewer, below = self._viewer, title in BELOW
        others = [] if below else [found for kind in RIGHT.values() if (found := _find(viewer, kind)) is not None]
        widget = ({**RIGHT, **BELOW}[title])(viewer)
        viewer.window.add_dock_widget(widget, name=f"{title} ({PLUGIN})", area="bottom" if below else "right")
        dock = _dock_of(widget)
        dock.setWindowTitle(title)  # for the tab, which is narrow
        window = dock.window()
        if not isinstance(window, QMainWindow):
            return
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        if below:
            window.resizeDocks([dock], [int(BELOW_SHARE * window.height())], Qt.Orientation.Vertical)
            return
        docked = [other for other in map(_dock_of, others) if not other.isFloating()]
        if docked:
            window.tabifyDockWidget(docked[-1], dock)

    def _get(self, kind: type[Dock]) -> Dock:
        found = _find(self._viewer, kind)
        assert found is not None
        return found


class WorkbenchWidget(QWidget):
    """What the menu opens: it puts the docks at their places and goes."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._begun = False

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Give way as soon as napari is done with adding this dock."""
        super().showEvent(event)
        if not self._begun:
            self._begun = True
            QTimer.singleShot(0, self._give_way)

    def _give_way(self) -> None:
        self._viewer.window.remove_dock_widget(self)
        Workbench(self._viewer)
        self.deleteLater()


def _find(viewer: napari.Viewer, kind: type[Dock]) -> Dock | None:
    """The dock of a kind that is open, wherever it was opened from."""
    return next((widget for widget in docks_of(viewer) if isinstance(widget, kind)), None)


def _dock_of(widget: QWidget) -> QDockWidget:
    dock = widget.parentWidget()
    assert isinstance(dock, QDockWidget)
    return dock


def _lend_keys(window: QMainWindow, keys: str, button: QPushButton) -> None:
    """Let keys press a button wherever the focus is, also while its dock lies behind another one."""
    if window.findChild(QShortcut, keys) is not None:
        return
    shortcut = QShortcut(QKeySequence(keys), window, objectName=keys)
    shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
    shortcut.activated.connect(button.click)
    button.destroyed.connect(shortcut.deleteLater)
    button.setToolTip(f"{button.toolTip()} ({keys})".strip())

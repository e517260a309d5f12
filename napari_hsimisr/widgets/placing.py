"""Where a dock goes when it is opened from the menu: napari stacks docks, and none of ours is of use that low."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


class PlacedWidget(QWidget):
    """A widget that finds the place of its dock when it is shown first: a tab beside our other docks."""

    _placed = False

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Find its place as soon as napari is done with adding the dock."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self.find_place)

    def find_place(self) -> None:
        """Become a tab of another dock of ours on the same side."""
        tabify_with_ours(self)


def tabify_with_ours(widget: QWidget) -> None:
    """Make the dock that holds `widget` a tab of another dock of this plugin on the same side, if there is one."""
    dock, window = widget.parentWidget(), widget.window()
    if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow) or dock.isFloating():
        return
    if any(map(_is_ours, window.tabifiedDockWidgets(dock))):
        return
    side = window.dockWidgetArea(dock)
    for other in window.findChildren(QDockWidget):
        if other is not dock and _is_ours(other) and window.dockWidgetArea(other) == side and not other.isHidden():
            window.tabifyDockWidget(other, dock)
            dock.raise_()
            return


def _is_ours(dock: QDockWidget) -> bool:
    return type(dock.widget()).__module__.startswith(__package__)

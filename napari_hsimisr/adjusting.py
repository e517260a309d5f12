"""Moving a frame by hand: arrow keys and drags, wherever the window's focus is, until it is switched off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_hsimisr.dragging import Dragger
from napari_hsimisr.mouse import World

DIRECTIONS = {"Up": (-1.0, 0.0), "Down": (1.0, 0.0), "Left": (0.0, -1.0), "Right": (0.0, 1.0)}
BIG = 10.0
"""How much farther a key moves with Shift."""


class Adjuster:
    """Listens to the arrow keys and to drags on the canvas, from `start` to `stop`.

    Args:
        on_key: gets the direction ``(y, x)`` of a key, 10 long with Shift.
        on_drag: see `Dragger`.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        dock: QWidget,
        on_key: Callable[[tuple[float, float]], None],
        on_drag: Callable[[World, World, bool], None],
    ) -> None:
        self._viewer = viewer
        self._dock = dock
        self._on_key = on_key
        self._on_drag = on_drag
        self._shortcuts: list[QShortcut] = []
        self._dragger: Dragger | None = None

    def start(self) -> None:
        """Take keys and mouse."""
        self.stop()
        window = _main_window(self._dock)
        for name, (y, x) in DIRECTIONS.items():
            for modifier, length in (("", 1.0), ("Shift+", BIG)):
                shortcut = QShortcut(QKeySequence(modifier + name), window)
                shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
                shortcut.activated.connect(partial(self._on_key, (length * y, length * x)))
                self._shortcuts.append(shortcut)
        self._dragger = Dragger(self._viewer, self._on_drag)

    def stop(self) -> None:
        """Give keys and mouse back."""
        if self._dragger is not None:
            self._dragger.close()
            self._dragger = None
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []


def _main_window(dock: QWidget) -> QWidget:
    """The window that holds the canvas, also where the dock floats: keys are to work in both."""
    window = dock.window()
    while (parent := window.parentWidget()) is not None:
        window = parent.window()
    return window

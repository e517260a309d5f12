"""Steps of work on the GUI thread, taking turns with the window's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

REST_MS = 10
"""Between two steps. Timers of 0 ms would all fire in one turn of the event loop, with no painting in between."""


class Turns(QObject):
    """Runs steps in order, each in its own turn of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: deque[Callable[[], None]] = deque()
        self._timer = QTimer(self, singleShot=True, interval=REST_MS)
        self._timer.timeout.connect(self._next)

    def add(self, step: Callable[[], None]) -> None:
        """Run a step when those before it are done."""
        self._steps.append(step)
        if not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Drop what is waiting."""
        self._timer.stop()
        self._steps.clear()

    def _next(self) -> None:
        try:
            self._steps.popleft()()
        finally:
            if self._steps:
                self._timer.start()

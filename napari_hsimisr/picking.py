"""Picking points on the canvas with clicks that are no drags, and following the mouse over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

from napari.components import ViewerModel

from napari_hsimisr.mouse import PressListener, World

DRAG_PX = 4  # canvas pixels; less is a click
COLLECT = "Shift"


class Picker(PressListener):
    """Calls `on_pick` with the world position ``(y, x)`` of every plain click on the canvas, until closed.

    A click with Shift calls `on_collect` instead.
    """

    modifiers = (COLLECT,)

    def __init__(
        self, viewer: ViewerModel, on_pick: Callable[[World], None], on_collect: Callable[[World], None]
    ) -> None:
        self._on_pick = on_pick
        self._on_collect = on_collect
        super().__init__(viewer)

    def follow(self, event: Any) -> Generator[None, None, None]:
        start, dragged = event.pos, False
        chosen = self._on_collect if COLLECT in event.modifiers else self._on_pick
        yield
        while event.type == "mouse_move":
            dragged = dragged or math.dist(event.pos, start) > DRAG_PX
            yield
        if not dragged:
            chosen(self.world(event))


class Hover:
    """Calls `on_move` with the world position ``(y, x)`` under the mouse, `on_leave` when it leaves, until closed."""

    def __init__(self, viewer: ViewerModel, on_move: Callable[[World], None], on_leave: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_move = on_move
        self._on_leave = on_leave
        self._callback = self._moved  # a bound method differs at each access: keep the one that is registered
        viewer.mouse_move_callbacks.append(self._callback)
        viewer.events.mouse_over_canvas.connect(self._crossed)

    def close(self) -> None:
        """Leave the mouse alone."""
        self._viewer.mouse_move_callbacks.remove(self._callback)
        self._viewer.events.mouse_over_canvas.disconnect(self._crossed)

    def _moved(self, viewer: ViewerModel, event: Any) -> None:
        if viewer.dims.ndisplay == 2 and viewer.mouse_over_canvas:  # a move may be told after the mouse has left
            y, x = (float(event.position[axis]) for axis in viewer.dims.displayed[-2:])
            self._on_move((y, x))

    def _crossed(self, event: Any) -> None:
        if not event.value:
            self._on_leave()

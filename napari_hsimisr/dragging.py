"""Moving things on the canvas with the mouse."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.components import ViewerModel

from napari_hsimisr.picking import mouse_is_free

World = tuple[float, float]


class Dragger:
    """Calls ``on_move(start, end, first)`` with world positions ``(y, x)`` for every step of a drag, until closed.

    The canvas does not pan meanwhile; `first` tells the first step of a drag from the others.
    """

    def __init__(self, viewer: ViewerModel, on_move: Callable[[World, World, bool], None]) -> None:
        self._viewer = viewer
        self._on_move = on_move
        # a bound method differs at each access: keep the one that is registered
        self._callback = self._pressed
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Leave the mouse alone."""
        self._viewer.mouse_drag_callbacks.remove(self._callback)

    def _pressed(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or event.modifiers or not mouse_is_free(viewer):
            return
        last, first = _world(viewer, event), True
        event.handled = True
        yield
        while event.type == "mouse_move":
            now = _world(viewer, event)
            self._on_move(last, now, first)
            last, first = now, False
            event.handled = True
            yield


def _world(viewer: ViewerModel, event: Any) -> World:
    y, x = (float(event.position[axis]) for axis in viewer.dims.displayed[-2:])
    return y, x

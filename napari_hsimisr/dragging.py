"""Moving things on the canvas with the mouse."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.components import ViewerModel

from napari_hsimisr.mouse import PressListener, World


class Dragger(PressListener):
    """Calls ``on_move(start, end, first)`` with world positions ``(y, x)`` for every step of a drag, until closed.

    The canvas does not pan meanwhile; `first` tells the first step of a drag from the others.
    """

    def __init__(self, viewer: ViewerModel, on_move: Callable[[World, World, bool], None]) -> None:
        self._on_move = on_move
        super().__init__(viewer)

    def follow(self, event: Any) -> Generator[None, None, None]:
        last, first = self.world(event), True
        event.handled = True
        yield
        while event.type == "mouse_move":
            now = self.world(event)
            self._on_move(last, now, first)
            last, first = now, False
            event.handled = True
            yield

"""What follows presses of the mouse on the canvas have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any

from napari.components import ViewerModel

World = tuple[float, float]


class PressListener(ABC):
    """Follows every plain press of the left button while no layer tool waits for it, until closed.

    Attributes:
        modifiers: keys that may be held meanwhile.
    """

    modifiers: tuple[str, ...] = ()

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        # a bound method differs at each access: keep the one that is registered
        self._callback = self._pressed
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Leave the mouse alone."""
        self._viewer.mouse_drag_callbacks.remove(self._callback)

    @abstractmethod
    def follow(self, event: Any) -> Generator[None, None, None]:
        """One press: runs to each ``yield`` as the mouse moves, and on when it is released."""

    def world(self, event: Any) -> World:
        """Where the mouse is, world coordinates ``(y, x)``."""
        y, x = (float(event.position[axis]) for axis in self._viewer.dims.displayed[-2:])
        return y, x

    def _pressed(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button == 1 and all(key in self.modifiers for key in event.modifiers) and _is_free(viewer):
            yield from self.follow(event)


def _is_free(viewer: ViewerModel) -> bool:
    """Whether no layer tool (painting, adding points, ...) waits for the click."""
    active = viewer.layers.selection.active
    return viewer.dims.ndisplay == 2 and (active is None or str(active.mode) == "pan_zoom")

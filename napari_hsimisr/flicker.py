"""Two frames shown by turns in the same place: the eye sees the slightest motion between them."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, QTimer


class Flicker(QObject):
    """Shows a pair of layers by turns and hides the other images; `stop` gives everything its looks back.

    It is the upper layer's opacity that changes: a layer that becomes visible would read its file again.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._turn)
        self._before: dict[Layer, tuple[bool, float]] = {}
        self._pair: tuple[Image, Image] | None = None
        self.upper_shown = True
        self.set_rate(2.0)

    @property
    def running(self) -> bool:
        return self._timer.isActive()

    def set_rate(self, hertz: float) -> None:
        """How often a second the picture changes."""
        self._timer.setInterval(round(1000 / hertz))

    def start(self, one: Image, other: Image) -> None:
        """Show these two by turns from now on."""
        if self.running and self._pair == (one, other):
            return
        self.stop()
        self._pair, self.upper_shown = (one, other), True
        self._show()
        self._timer.start()

    def stop(self) -> None:
        """Show every layer as it was before."""
        self._timer.stop()
        self._pair = None
        for layer, (visible, opacity) in self._before.items():
            if layer in self._viewer.layers:
                layer.visible, layer.opacity = visible, opacity
        self._before = {}

    def _turn(self) -> None:
        self.upper_shown = not self.upper_shown
        self._show()

    def _show(self) -> None:
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        pair = [layer for layer in images if self._pair is not None and layer in self._pair]
        if len(pair) < 2:  # one of them was removed
            self.stop()
            return
        for layer in images:  # among them those that were added meanwhile
            self._before.setdefault(layer, (layer.visible, layer.opacity))
            if layer.visible != (layer in pair):
                layer.visible = layer in pair
        lower, upper = pair
        lower.opacity, upper.opacity = 1.0, 1.0 if self.upper_shown else 0.0

"""Two finished runs on the canvas together: shown by turns, or side by side with a divider between them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from hsimisr.physics.types import Float32
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.flicker import Flicker
from napari_hsimisr.history import Run
from napari_hsimisr.mouse import PressListener
from napari_hsimisr.run_layers import DIVIDER, A, B, Extent, RunLayers

Way = Literal["blink", "curtain"]
GRIP = 8
"""Pixels of the screen within which the divider is taken hold of."""


@dataclass(frozen=True, eq=False)
class _Images:
    """The band of both runs."""

    a: Float32
    b: Float32


class RunPair(QObject):
    """Compares run A with run B until `stop`; follows the band slider.

    Attributes:
        ended: the comparison is over, also because a layer of it was removed.
        moved: where the divider stands now, 0 at the left end of what the runs show and 1 at the right.
    """

    ended = Signal()
    moved = Signal(float)
    failed = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers = RunLayers(viewer)
        self._flicker = Flicker(viewer)
        self._reads = LatestRead()
        self._reads.done.connect(self._show)
        self._reads.failed.connect(self.failed)
        self._runs: tuple[Run, Run] | None = None
        self._way: Way = "blink"
        self._images: _Images | None = None
        self._grip: _Grip | None = None
        self._band = -1
        self.share = 0.5
        viewer.dims.events.current_step.connect(self._read)
        viewer.layers.events.removed.connect(self._look_for_layers)

    @property
    def running(self) -> bool:
        return self._runs is not None

    @property
    def way(self) -> Way | None:
        """How they are compared, or None while they are not."""
        return self._way if self.running else None

    def start(self, a: Run, b: Run, way: Way) -> None:
        """Compare these two from now on, in this way."""
        self._flicker.stop()
        self._let_go()
        if self._runs != (a, b):
            self._images = None
        self._runs, self._way, self._band = (a, b), way, -1
        self._read()

    def stop(self) -> None:
        """Take the layers of the comparison away."""
        if self._runs is not None:
            self._clear()
            self.ended.emit()

    def close(self) -> None:
        """Stop without a word, and leave the viewer alone."""
        if self._runs is not None:
            self._clear()
        self._reads.close()
        self._viewer.dims.events.current_step.disconnect(self._read)
        self._viewer.layers.events.removed.disconnect(self._look_for_layers)

    def extent(self) -> Extent | None:
        """What the two runs cover together, or None while nothing is compared."""
        return None if self._runs is None else self._layers.extent(self._runs)

    def move(self, share: float) -> None:
        """Put the divider somewhere else."""
        share = min(max(share, 0.0), 1.0)
        if share == self.share:
            return
        self.share = share
        if self._way == "curtain":
            self._draw()
        self.moved.emit(share)

    def _read(self, _event: Any = None) -> None:
        if self._runs is None:
            return
        a, b = (run.result.estimate for run in self._runs)
        band = min(self._viewer.dims.current_step[0], a.subspace.bands - 1, b.subspace.bands - 1)
        if band != self._band:
            self._band = band
            index = np.array([band])
            self._reads.request(lambda: _Images(a.bands(index)[0], b.bands(index)[0]))

    def _show(self, images: _Images | None) -> None:
        if images is None or self._runs is None:
            return
        self._images = images
        self._draw()
        pair = self._layers.pair()
        if self._way == "blink" and pair is not None:
            self._flicker.start(*pair)
        elif self._way == "curtain" and self._grip is None:
            self._grip = _Grip(self._viewer, self)

    def _draw(self) -> None:
        if self._runs is None or self._images is None:
            return
        cut = self.share if self._way == "curtain" else None
        self._layers.show(self._runs, (self._images.a, self._images.b), cut)

    def _clear(self) -> None:
        self._runs = self._images = None
        self._flicker.stop()
        self._let_go()
        self._layers.remove(DIVIDER, B, A)

    def _let_go(self) -> None:
        if self._grip is not None:
            self._grip.close()
            self._grip = None

    def _look_for_layers(self, event: Any) -> None:
        if self._runs is not None and self._layers.owns(event.value):
            self.stop()


class _Grip(PressListener):
    """Moves the divider with a drag that begins on it; other drags pan the canvas."""

    def __init__(self, viewer: ViewerModel, pair: RunPair) -> None:
        self._pair = pair
        super().__init__(viewer)

    def follow(self, event: Any) -> Generator[None, None, None]:
        extent = self._pair.extent()
        if extent is None:
            return
        along = partial(extent.share_at, self._viewer)
        distance = (along(self.world(event)) - self._pair.share) * extent.width_on(self._viewer)
        if abs(distance) > GRIP:
            return
        event.handled = True
        yield
        while event.type == "mouse_move":
            self._pair.move(along(self.world(event)))
            event.handled = True
            yield

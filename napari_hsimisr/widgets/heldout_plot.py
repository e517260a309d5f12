"""How well frames that were kept back are predicted while the refiner adapts: one point for each look at them."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy.QtWidgets import QWidget

from hsimisr.pipeline.events import HeldOut

HEIGHT = 110


class HeldOutPlot(pg.PlotWidget):  # type: ignore[misc]
    """Misfit of the held-out frames over seconds, the best marked; hidden until there is something to show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEIGHT)
        self.setVisible(False)
        self.setToolTip(
            "Mean squared residual of the frames that were kept back, over their noise, while the refiner adapts.\n"
            "Lower is better; the refiner of the lowest point is used."
        )
        self.setLabel("bottom", "s")
        self.setLabel("left", "held-out χ²")
        for side in ("bottom", "left"):
            self.getAxis(side).enableAutoSIPrefix(False)
        self._line = self.plot(pen="w", symbol="o", symbolSize=4)
        self._best = self.plot(pen=None, symbol="o", symbolSize=9, symbolBrush="y")
        self.points: list[HeldOut] = []

    def add(self, event: HeldOut) -> None:
        """Show one look more; those of another job begin anew."""
        if self.points and self.points[0].job != event.job:
            self.points = []
        self.points.append(event)
        best = min(self.points, key=lambda point: point.misfit)
        self._line.setData([p.seconds for p in self.points], [p.misfit for p in self.points])
        self._best.setData([best.seconds], [best.misfit])
        self.setVisible(True)

"""The row of tools above the spectra: what is drawn, averaging, region, pins, library, saving."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QWidget

from napari_hsimisr.curves import Way
from napari_hsimisr.pins import Pin, Pins

NARROWEST = 75
"""Width of a combo box, pixels."""
BOXES = {"1 px": 1, "3 × 3": 3, "5 × 5": 5}
SAVE = {"csv": "Table of what is drawn (CSV) …", "png": "Picture of the plot (PNG) …", "svg": "Drawing of it (SVG) …"}


class SpectraTools(QWidget):
    """Controls alone: `changed` tells that what is read or drawn was chosen anew, `save_asked` carries a suffix."""

    changed = Signal()
    save_asked = Signal(str)

    def __init__(self, pins: Pins) -> None:
        super().__init__()
        self._pins = pins
        self.way = QComboBox(toolTip="What is drawn of each spectrum; bicubic is the interpolated reference frame.")
        for way in Way:
            self.way.addItem(way.value, way)
        self.box = QComboBox(toolTip="Average around each point, in pixels of the frames.")
        for name, size in BOXES.items():
            self.box.addItem(name, size)
        self.region = QComboBox(
            toolTip="Mean and standard deviation of a region: the selected shape of a Shapes layer (polygon, "
            "rectangle, ellipse), or the selected label of a Labels layer."
        )
        self.hover = QCheckBox("Hover", checked=True, toolTip="Show the spectrum under the mouse, dotted.")
        self.pins = QPushButton(toolTip="A click moves the current pin, Shift + click collects another.")
        self.library = QPushButton("Library …", toolTip="Compare with a spectral library: ENVI, USGS, ECOSTRESS, CSV.")
        self.save = QPushButton("Save", toolTip="Save what is drawn; hidden curves are left out.")
        self.save.setMenu(QMenu(self.save))
        for suffix, title in SAVE.items():
            self._add(self.save.menu(), title).triggered.connect(lambda _=False, s=suffix: self.save_asked.emit(s))
        self.pins.setMenu(QMenu(self.pins))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self.way, self.box, self.region):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # share what a laptop has
            box.setMinimumWidth(NARROWEST)
        for widget in (self.way, self.box, self.region, self.hover, self.pins, self.library, self.save):
            layout.addWidget(widget, isinstance(widget, QComboBox))
        for box in (self.way, self.box, self.region):
            box.currentIndexChanged.connect(self.changed)
        self.offer_regions([])
        self.offer_pins()

    def offer_regions(self, layers: Sequence[Layer]) -> None:
        """List the layers that regions are drawn in; the choice stays as long as it is there."""
        chosen = self.region.currentData()
        with QSignalBlocker(self.region):
            self.region.clear()
            self.region.addItem("no region", None)
            for layer in layers:
                self.region.addItem(layer.name, layer)
            self.region.setCurrentIndex(layers.index(chosen) + 1 if chosen in layers else 0)
        if chosen is not None and chosen not in layers:
            self.changed.emit()

    def offer_pins(self) -> None:
        """List the pins, to choose the current one, and to take them away."""
        menu, pins = self.pins.menu(), self._pins
        menu.clear()
        for pin in pins.all:
            action = self._add(menu, pin.name)
            action.setIcon(_icon(pin))
            action.setCheckable(True)
            action.setChecked(pin is pins.current)
            action.triggered.connect(lambda _=False, number=pin.number: pins.choose(number))
        menu.addSeparator()
        current = pins.current
        if current is not None:
            self._add(menu, f"Remove {current.name}").triggered.connect(lambda: pins.remove(current.number))
            self._add(menu, "Remove all").triggered.connect(lambda: pins.clear())
        self.pins.setText("Pins" if len(pins.all) < 2 else f"Pins ({len(pins.all)})")
        self.pins.setEnabled(current is not None)

    def _add(self, menu: QMenu, title: str) -> QAction:
        action = QAction(title, menu)
        menu.addAction(action)
        return action


def _icon(pin: Pin) -> QIcon:
    picture = QPixmap(12, 12)
    picture.fill(QColor(pin.colour))
    return QIcon(picture)

"""The entries of a spectral library that are nearest to the pin, beside the plot."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QToolButton, QVBoxLayout, QWidget

from napari_hsimisr.curves import Found

WIDTH = 260
_ENTRY = Qt.ItemDataRole.UserRole


class LibraryPanel(QWidget):
    """A short list; `ticked` carries the entries to be drawn, `closed` tells that the library is not wanted any more.

    `selected` carries the number of an entry, or -1.
    """

    ticked = Signal(object)
    selected = Signal(int)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel()
        self.list = QListWidget()
        self.list.setToolTip(
            "The smallest spectral angles to the current pin (or region), over the bands that both have. Tick an entry "
            "to draw it, scaled to the pin's brightness; select one as target of the map in the Quality dock."
        )
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.close_button = QToolButton(text="×", toolTip="Compare with no library any more.")
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.list, 1)
        self.setMaximumWidth(WIDTH)
        self.list.itemChanged.connect(self._tick)
        self.list.currentItemChanged.connect(self._select)
        self.close_button.clicked.connect(self.closed)

    def show_found(self, found: Sequence[Found], entries: frozenset[int]) -> None:
        """List entries, nearest first; the selected one stays selected while it is among them."""
        chosen = self.chosen
        with QSignalBlocker(self.list):
            self.list.clear()
            for each in found:
                item = QListWidgetItem(f"{each.angle:.2f}°  {each.name}")
                item.setToolTip(f"{each.name}: {each.angle:.3f}° over {each.bands} bands, drawn × {each.factor:.4g}")
                item.setData(_ENTRY, each.entry)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked if each.entry in entries else Qt.CheckState.Unchecked)
                self.list.addItem(item)
                if each.entry == chosen:
                    self.list.setCurrentItem(item)

    @property
    def chosen(self) -> int:
        """The selected entry, or -1."""
        item = self.list.currentItem()
        return -1 if item is None else int(item.data(_ENTRY))

    def _tick(self) -> None:
        items = [self.list.item(row) for row in range(self.list.count())]
        self.ticked.emit(
            frozenset(int(item.data(_ENTRY)) for item in items if item.checkState() == Qt.CheckState.Checked)
        )

    def _select(self) -> None:
        self.selected.emit(self.chosen)

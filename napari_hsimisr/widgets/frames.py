"""The list of frames: which take part, which is the reference, and where registration found them."""

from __future__ import annotations

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from hsimisr.physics.types import FrameMotion
from napari_hsimisr.app import connect
from napari_hsimisr.session import Session

LAYER = Qt.ItemDataRole.UserRole
LEAST_HEIGHT = 110  # screen pixels: the head and four frames


class FrameList(QWidget):
    """Frames with a box each, their shifts once known, and the choice of the reference.

    `chosen` tells that a person selects another frame, or that the selected one has gone.
    """

    chosen = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._tree = QTreeWidget(rootIsDecorated=False, objectName="frames")
        self._tree.setHeaderLabels(["Frame", "Δy (px)", "Δx (px)"])
        self._tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            self._tree.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._tree.header().setStretchLastSection(False)
        self._tree.setToolTip("Untick a frame to leave it out. Shifts are those found by the last run.")
        self._tree.setMinimumHeight(LEAST_HEIGHT)
        self._reference = QComboBox()
        self._reference.setToolTip("Its pixel grid defines the coordinates; the refined cube lies on it.")

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._tree)
        row = QFormLayout()
        row.addRow("R&eference", self._reference)
        layout.addLayout(row)

        self._tree.itemChanged.connect(self._toggle)
        self._tree.currentItemChanged.connect(lambda: self.chosen.emit())
        self._reference.activated.connect(self._choose)
        for changed in (session.frames_changed, session.motions_changed):
            connect(self, changed, self.refresh)
        self.refresh()

    @property
    def layer(self) -> Image | None:
        """The frame that is selected."""
        item = self._tree.currentItem()
        return None if item is None else item.data(0, LAYER)

    def choose(self, layer: Image) -> None:
        """Select a frame."""
        for item in self._items():
            if item.data(0, LAYER) is layer:
                self._tree.setCurrentItem(item)

    def refresh(self) -> None:
        """Show the session's frames as they are now."""
        session, before = self._session, self.layer
        with QSignalBlocker(self._tree), QSignalBlocker(self._reference):
            if [item.data(0, LAYER) for item in self._items()] != session.frames:
                self._tree.clear()  # never while a box of it is being ticked: that item would be deleted in mid-change
                self._tree.addTopLevelItems([_new_item(layer) for layer in session.frames])
                choice = before if before in session.frames else session.reference
                if choice is not None:
                    self.choose(choice)
            for item in self._items():
                layer = item.data(0, LAYER)
                _update(item, layer, layer in session.included, session.motions.get(layer))
            self._reference.clear()
            for layer in session.included:
                self._reference.addItem(layer.name, layer)
            if session.reference is not None:
                self._reference.setCurrentIndex(session.included.index(session.reference))
        if self.layer is not before:
            self.chosen.emit()

    def _items(self) -> list[QTreeWidgetItem]:
        return [self._tree.topLevelItem(row) for row in range(self._tree.topLevelItemCount())]

    def _toggle(self, item: QTreeWidgetItem) -> None:
        self._session.include(item.data(0, LAYER), item.checkState(0) == Qt.CheckState.Checked)

    def _choose(self, index: int) -> None:
        self._session.choose_reference(self._reference.itemData(index))


def _new_item(layer: Image) -> QTreeWidgetItem:
    item = QTreeWidgetItem()
    item.setData(0, LAYER, layer)
    for column in (1, 2):
        item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
    return item


def _update(item: QTreeWidgetItem, layer: Image, included: bool, motion: FrameMotion | None) -> None:
    item.setText(0, layer.name)
    item.setCheckState(0, Qt.CheckState.Checked if included else Qt.CheckState.Unchecked)
    item.setToolTip(0, f"left out by the run: {motion.reason}" if motion and motion.excluded else layer.name)
    for column, text in enumerate(_shift(motion), 1):
        item.setText(column, text)


def _shift(motion: FrameMotion | None) -> list[str]:
    if motion is None:
        return ["", ""]
    return ["out", "out"] if motion.excluded else [f"{value:+.3f}" for value in motion.shift]

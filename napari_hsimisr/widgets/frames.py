"""The list of frames: which take part, which is the reference, and where registration found them."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from hsimisr.physics.types import FrameMotion
from napari_hsimisr.session import Session


class FrameList(QWidget):
    """Frames with a box each, their shifts once known, and the choice of the reference."""

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
        self._reference = QComboBox()
        self._reference.setToolTip("Its pixel grid defines the coordinates; the refined cube lies on it.")

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._tree)
        row = QFormLayout()
        row.addRow("Reference", self._reference)
        layout.addLayout(row)

        self._tree.itemChanged.connect(self._toggle)
        self._reference.activated.connect(self._choose)
        session.frames_changed.connect(self.refresh)
        session.estimate_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Draw the session's frames anew."""
        session, motions = self._session, self._session.motions
        with QSignalBlocker(self._tree), QSignalBlocker(self._reference):
            self._tree.clear()
            for layer in session.frames:
                item = QTreeWidgetItem([layer.name, *_shift(motions.get(layer))])
                item.setData(0, Qt.ItemDataRole.UserRole, layer)
                item.setCheckState(0, Qt.CheckState.Checked if layer in session.included else Qt.CheckState.Unchecked)
                for column in (1, 2):
                    item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
                motion = motions.get(layer)
                item.setToolTip(
                    0, f"left out by the run: {motion.reason}" if motion and motion.excluded else layer.name
                )
                self._tree.addTopLevelItem(item)
            self._reference.clear()
            for layer in session.included:
                self._reference.addItem(layer.name, layer)
            if session.reference is not None:
                self._reference.setCurrentIndex(session.included.index(session.reference))

    def _toggle(self, item: QTreeWidgetItem) -> None:
        self._session.include(item.data(0, Qt.ItemDataRole.UserRole), item.checkState(0) == Qt.CheckState.Checked)

    def _choose(self, index: int) -> None:
        self._session.choose_reference(self._reference.itemData(index))


def _shift(motion: FrameMotion | None) -> list[str]:
    if motion is None:
        return ["", ""]
    return ["out", "out"] if motion.excluded else [f"{value:+.3f}" for value in motion.shift]

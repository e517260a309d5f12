"""The table of motions: one row a frame, with error bars, gain, weight and how well the others predict it."""

from __future__ import annotations

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from hsimisr.physics.types import FrameMotion
from napari_hsimisr.alignment import State
from napari_hsimisr.app import connect
from napari_hsimisr.session import Session

LAYER = Qt.ItemDataRole.UserRole
COLUMNS = {
    "Frame": "Untick a frame to leave it out. Select one to inspect and correct it.",
    "Δy (px)": "How far down the scene stands in this frame, in pixels of the reference, ± one standard error.",
    "Δx (px)": "How far right the scene stands in this frame, in pixels of the reference, ± one standard error.",
    "χ²": "How well the other frames predict this one: 1 is as its noise allows, above 2 something is wrong.",
    "Gain": "Brightness of the frame over that of the scene.",
    "Wt": "Weight: trust in this frame, 0 to 1.",
    "Model": "Shift, affine, or a local field on top.",
}
SMALLER, WIDTH = 0.85, 420
"""Size of the letters over that of the window, and least width in screen pixels: all columns are to be seen."""
SHORT = {"translation": "shift"}


class MotionTable(QTreeWidget):
    """The session's frames; `chosen` tells the frame that a person selects."""

    chosen = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(rootIsDecorated=False, objectName="motions")
        self._session = session
        self.setHeaderLabels(list(COLUMNS))
        for column, tooltip in enumerate(COLUMNS.values()):
            self.headerItem().setToolTip(column, tooltip)
        header = self.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(30)
        header.setStyleSheet("padding: 0 2px")
        font = self.font()
        font.setPointSizeF(SMALLER * font.pointSizeF())
        for widget in (self, header):
            widget.setFont(font)
        self.setMinimumWidth(WIDTH)
        self.itemChanged.connect(self._toggle)
        self.currentItemChanged.connect(lambda: self.chosen.emit())
        for changed in (session.frames_changed, session.motions_changed):
            connect(self, changed, self.refresh)
        self.refresh()

    @property
    def layer(self) -> Image | None:
        """The frame that is selected."""
        item = self.currentItem()
        return None if item is None else item.data(0, LAYER)

    def choose(self, layer: Image) -> None:
        """Select a frame."""
        for item in self._items():
            if item.data(0, LAYER) is layer:
                self.setCurrentItem(item)

    def refresh(self) -> None:
        """Show the frames and their motions as they are now."""
        session, state = self._session, self._session.alignment.state
        reference = session.motion_reference or session.reference
        with QSignalBlocker(self):
            if [item.data(0, LAYER) for item in self._items()] != session.frames:
                self._start_over(reference)
            for item in self._items():
                layer = item.data(0, LAYER)
                _update(item, state, layer, layer in session.included, layer is reference)

    def _start_over(self, reference: Image | None) -> None:
        """New rows; the selection stays, and begins with the first frame that is not the reference."""
        before = self.layer
        self.clear()
        for layer in self._session.frames:
            item = QTreeWidgetItem()
            item.setData(0, LAYER, layer)
            for column in range(1, len(COLUMNS)):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.addTopLevelItem(item)
        others = [layer for layer in self._session.frames if layer is not reference]
        choice = before if before in self._session.frames else next(iter(others), None)
        if choice is not None:
            self.choose(choice)

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.topLevelItem(row) for row in range(self.topLevelItemCount())]

    def _toggle(self, item: QTreeWidgetItem) -> None:
        self._session.include(item.data(0, LAYER), item.checkState(0) == Qt.CheckState.Checked)


def _update(item: QTreeWidgetItem, state: State, layer: Image, included: bool, is_reference: bool) -> None:
    motion = state.motions.get(layer)
    used = included and not (motion is not None and motion.excluded)
    item.setCheckState(0, Qt.CheckState.Checked if used else Qt.CheckState.Unchecked)
    by_hand = state.by_hand(layer)
    for column, text in enumerate([_name(layer, is_reference, by_hand), *_cells(motion, is_reference, by_hand)]):
        item.setText(column, text)
        item.setToolTip(column, _remark(layer, motion, included, is_reference, by_hand))


def _name(layer: Image, is_reference: bool, by_hand: bool) -> str:
    return layer.name + (" ◆" if is_reference else "") + (" ✎" if by_hand else "")


def _cells(motion: FrameMotion | None, is_reference: bool, by_hand: bool) -> list[str]:
    """The text of every column but the first."""
    if motion is None:
        return [""] * (len(COLUMNS) - 1)
    if is_reference:
        shifts = ["0", "0"]
    elif motion.excluded:
        shifts = ["out", "out"]
    else:
        errors = np.sqrt(np.diag(motion.covariance))
        shifts = [_shift(d, np.nan if by_hand else e) for d, e in zip(motion.shift, errors, strict=True)]
    chi2 = "–" if np.isnan(motion.chi2) else f"{motion.chi2:.2f}"
    return [*shifts, chi2, f"{motion.gain:.3f}", f"{motion.weight:.2g}", SHORT.get(motion.model, motion.model)]


def _shift(value: float, error: float) -> str:
    """A shift with its error bar; a frame that was moved by hand has none."""
    if not error > 0:
        return f"{value:+.3f}"
    decimals = int(np.clip(-np.floor(np.log10(error)), 1, 4))
    return f"{value:+.{decimals}f} ±{error:.{decimals}f}"


def _remark(layer: Image, motion: FrameMotion | None, included: bool, is_reference: bool, by_hand: bool) -> str:
    remarks = [layer.name]
    if is_reference:
        remarks.append("the reference: all motion is relative to it")
    if not included:
        remarks.append("left out by hand")
    elif motion is not None and motion.excluded:
        remarks.append(f"left out by the run: {motion.reason}; tick it to give it another chance")
    elif motion is not None and motion.reason:
        remarks.append(motion.reason)
    if by_hand:
        remarks.append("moved by hand: its error is not known before the next registration")
    if motion is None and not is_reference:
        remarks.append("not registered yet")
    return "\n".join(remarks)

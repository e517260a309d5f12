"""The line at the foot of a dock."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_hsimisr.session import Status

ERROR_COLOUR = "#ff7b72"


class StatusLine(QLabel):
    """Shows one status, with its hint below; errors in red, all of it selectable."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, wordWrap=True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_status(self, status: Status) -> None:
        """Replace what is said."""
        self.setStyleSheet(f"color: {ERROR_COLOUR}" if status.error else "")
        self.setText(status.text + (f"\n→ {status.hint}" if status.hint else ""))

"""A line of text that takes no room while there is nothing to say."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel


class Note(QLabel):
    """Wrapped text that can be selected; hidden while it is empty."""

    def __init__(self) -> None:
        super().__init__(wordWrap=True, visible=False)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Say something, or nothing."""
        super().setText(text)
        self.setVisible(bool(text))

"""Rows, titled groups and parts that scroll, as every dock lays them out."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget


def row(*widgets: QWidget | None) -> QHBoxLayout:
    """Widgets side by side; None is a gap that stretches."""
    layout = QHBoxLayout()
    for widget in widgets:
        if widget is None:
            layout.addStretch(1)
        else:
            layout.addWidget(widget)
    return layout


def group(title: str, *parts: QWidget | QHBoxLayout) -> QGroupBox:
    """A titled box with its parts below each other."""
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(6, 4, 6, 4)
    for part in parts:
        if isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    return box


def scrolled(content: QWidget) -> QScrollArea:
    """A widget that scrolls up and down where it is taller than its place."""
    area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
    area.setWidget(content)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area

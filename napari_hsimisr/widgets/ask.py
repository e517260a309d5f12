"""The question before a run that takes long, or more memory than there is."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_hsimisr.forecast import WAY_OUT, Forecast


def ask_about(expected: Forecast, what: str, dock: QWidget, go: Callable[[], None]) -> None:
    """Ask beside the running window, and call `go` where the answer is yes."""
    box = QMessageBox(dock, objectName="forecast")
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Question if expected.fits else QMessageBox.Icon.Warning)
    problem = "takes long" if expected.fits else "may not fit into memory"
    box.setText(f"Refining {what} {problem}.")
    box.setInformativeText(f"Expected: {expected.text}.\n\n{WAY_OUT}")
    yes = box.addButton("Refine all the same", QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    box.finished.connect(lambda _: go() if box.clickedButton() is yes else None)
    box.open()

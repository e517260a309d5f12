"""What a frame's file tells about it, as text to read and to copy."""

from __future__ import annotations

import html

import yaml
from napari.layers import Image
from qtpy.QtWidgets import QTextBrowser

from hsimisr.io.describe import describe, in_words
from napari_hsimisr.layers import cube_of

HEIGHT = 130  # screen pixels
NOTHING = "Select a frame in the list to see what its file tells about it."


class Metadata(QTextBrowser):
    """A table of one cube's metadata; scrolls where there is much."""

    def __init__(self) -> None:
        super().__init__(objectName="metadata")
        self.setMinimumHeight(HEIGHT)
        self.setTabChangesFocus(True)
        self.show_layer(None)

    def show_layer(self, layer: Image | None) -> None:
        """Tell about a frame, or what to do to see something."""
        cube = cube_of(layer)
        if layer is None or cube is None:
            self.setPlainText(NOTHING)
            return
        file = "none: it exists in napari alone" if cube.source is None else str(cube.source)
        rows = [("file", file), *in_words(describe(cube))]
        if "provenance" in cube.extra:
            rows.append(("provenance", yaml.safe_dump(cube.extra["provenance"], sort_keys=False)))
        self.setHtml(f"<p><b>{html.escape(layer.name)}</b></p><table>{''.join(map(_row, rows))}</table>")


def _row(cells: tuple[str, str]) -> str:
    name, text = (html.escape(cell) for cell in cells)
    return f"<tr><td>{name}&nbsp;&nbsp;</td><td style='white-space: pre-wrap'>{text}</td></tr>"

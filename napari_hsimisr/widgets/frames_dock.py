"""The Frames dock: open cubes, see what their files tell, choose which take part, in which order and on whose grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGroupBox,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QShortcut,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from hsimisr.io.open import SUFFIXES
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.frame_order import move_frame
from napari_hsimisr.layers import cube_of
from napari_hsimisr.opening import Opener, Opening, Report
from napari_hsimisr.recent import Recent
from napari_hsimisr.sample import FRAMES
from napari_hsimisr.session import Status
from napari_hsimisr.widgets.colour import ColourBox
from napari_hsimisr.widgets.frames import FrameList
from napari_hsimisr.widgets.layout import group, row
from napari_hsimisr.widgets.metadata import Metadata
from napari_hsimisr.widgets.placing import PlacedWidget
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

CUBES = "Hyperspectral cubes ({})".format(" ".join(f"*{suffix}" for suffix in sorted(SUFFIXES) if suffix))
FILTER = f"{CUBES};;All files (*)"
SIZE = QSize(400, 620)  # screen pixels
MOST_FAILURES = 4
"""How many are told one by one."""
HINT = "Open the frames of one scene: files, a folder, the sample frames, or drop them here."


class FramesWidget(PlacedWidget):
    """Buttons that open, the session's frames, and the metadata of the one that is selected."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._viewer = napari_viewer
        self.opener = Opener(napari_viewer)
        self.recent = Recent()
        self._draw()
        self.setAcceptDrops(True)

        self.files_button.clicked.connect(self._ask_for_files)
        self.folder_button.clicked.connect(self._ask_for_folder)
        self.sample_button.clicked.connect(lambda: self.opener.open([str(FRAMES)]))
        self.path.returnPressed.connect(self._open_path)
        self.recent_menu.aboutToShow.connect(self._fill_recent)
        self.opener.busy_changed.connect(self._show_busy)
        self.opener.ended.connect(self._tell_report)
        self.opener.failed.connect(lambda text: self.status.show_status(Status(text, error=True)))
        self.up_button.clicked.connect(lambda: self._move(-1))
        self.down_button.clicked.connect(lambda: self._move(1))
        self.remove_button.clicked.connect(self._remove)
        self.aligned.toggled.connect(self.session.show_aligned)
        self.list.chosen.connect(self.refresh)
        connect(self, self.session.frames_changed, self.refresh)
        connect(self, self.session.aligned_changed, self._show_aligned)
        self.destroyed.connect(self.opener.close)
        self.refresh()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As the other docks on the right; it scrolls where there is less room."""
        return SIZE

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Files may be dropped on the dock."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Open them, as the buttons do."""
        self.open([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])
        event.acceptProposedAction()

    def open(self, paths: Sequence[str]) -> None:
        """Open files and folders in the background; `paths` may also be ``file:array`` or ``file#3``."""
        if paths:
            self.opener.open(paths, bands_as_frames=self.bands_as_frames.isChecked())

    def refresh(self) -> None:
        """Show what can be done now, and the metadata of the selected frame."""
        layer, frames = self.list.layer, self.session.frames
        place = frames.index(layer) if layer in frames else None
        self.up_button.setEnabled(place is not None and place > 0)
        self.down_button.setEnabled(place is not None and place < len(frames) - 1)
        self.remove_button.setEnabled(place is not None)
        self.metadata.show_layer(layer)

    def _move(self, by: int) -> None:
        if self.list.layer is not None:
            move_frame(self.session, self.list.layer, by)

    def _remove(self) -> None:
        """Take the frame out of the window; its neighbour is selected, so that several can go in a row."""
        layer, frames = self.list.layer, self.session.frames
        if layer not in frames:
            return
        place = frames.index(layer)
        neighbours: list[Image] = [*frames[place + 1 : place + 2], *frames[max(place - 1, 0) : place]]
        self._viewer.layers.remove(layer)
        if neighbours:
            self.list.choose(neighbours[0])

    def _ask_for_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Open frames", str(self._folder()), FILTER)
        self.open(paths)

    def _ask_for_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of frames or a Zarr store", str(self._folder()))
        self.open([path] if path else [])

    def _open_path(self) -> None:
        self.open([self.path.text().strip()] if self.path.text().strip() else [])

    def _folder(self) -> Path:
        """Where the reference's file is, or what was opened last."""
        cube = cube_of(self.session.reference)
        if cube is not None and cube.source is not None:
            return Path(cube.source.path).parent
        latest = self.recent.openings
        return Path(latest[0].paths[0]).parent if latest else Path.home()

    def _fill_recent(self) -> None:
        self.recent_menu.clear()
        for opening in self.recent.openings:
            action = self.recent_menu.addAction(str(opening).replace("&", "&&"))
            action.setToolTip("\n".join(opening.paths))
            action.triggered.connect(partial(self._open_again, opening))
        if self.recent_menu.isEmpty():
            self.recent_menu.addAction("nothing was opened yet").setEnabled(False)
            return
        self.recent_menu.addSeparator()
        self.recent_menu.addAction("Forget all").triggered.connect(lambda: self.recent.clear())

    def _open_again(self, opening: Opening) -> None:
        self.opener.open(opening.paths, bands_as_frames=opening.bands_as_frames)

    def _show_aligned(self, aligned: bool) -> None:
        self.aligned.setChecked(aligned)

    def _show_busy(self, busy: bool) -> None:
        if busy:
            self.status.show_status(Status("opening …"))

    def _tell_report(self, report: Report) -> None:
        """Say what was opened and what not; what worked is remembered, what is gone forgotten."""
        if report.frames and report.opening.paths != (str(FRAMES),):
            self.recent.add(report.opening)
        forgotten = self.recent.forget(report.missing)
        if not report.failures:
            self.path.clear()
            self.status.show_status(Status(_frames(report.frames) + " opened"))
            return
        lines = [f"{_frames(report.frames)} opened, {len(report.failures)} could not be read:"]
        lines += report.failures[:MOST_FAILURES]
        if (more := len(report.failures) - MOST_FAILURES) > 0:
            lines.append(f"… and {more} more")
        hint = "what is gone was taken out of the recent files" if forgotten else ""
        self.status.show_status(Status("\n".join(lines), hint, error=True))

    def _draw(self) -> None:
        self.metadata = Metadata()
        self.colour = ColourBox(self.session)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.metadata, "Selected frame")
        self.tabs.addTab(self.colour, "Colour by wavelength")
        self.status = StatusLine(HINT)
        content = QWidget()
        parts = QVBoxLayout(content)
        parts.setContentsMargins(0, 0, 0, 0)
        parts.addWidget(self._draw_opening())
        parts.addWidget(self._draw_frames(), 2)
        parts.addWidget(self.tabs, 1)
        area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        layout = QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addWidget(self.status)

    def _draw_opening(self) -> QGroupBox:
        self.files_button = _button(
            "&Open files…", "Cubes in any format that is read here; several at once are frames."
        )
        self.folder_button = _button("Fol&der…", "All cubes in a folder, in natural order, or one Zarr store.")
        self.recent_menu = QMenu(self, toolTipsVisible=True)
        self.recent_button = _button("&Recent", "What was opened lately, also in earlier sessions.")
        self.recent_button.setMenu(self.recent_menu)
        self.sample_button = _button("Sa&mple", "Eight shifted frames of a small town, which come with the plugin.")
        self.path = QLineEdit(placeholderText="or a path, file.mat:array, frames.npz#3", clearButtonEnabled=True)
        self.path.setToolTip(
            "Enter opens it. Where a file holds several arrays, name one after a colon; # and a number take one frame "
            "of many, counted from 0."
        )
        self.bands_as_frames = QCheckBox("&Bands are frames")
        self.bands_as_frames.setToolTip("Take each image of a file as a frame of one band: a camera's sequence.")
        return group(
            "Open",
            row(self.files_button, self.folder_button, self.recent_button, self.sample_button),
            self.path,
            self.bands_as_frames,
        )

    def _draw_frames(self) -> QGroupBox:
        self.list = FrameList(self.session)
        self.up_button = _button("&Up", "Move the selected frame towards the start of the list.")
        self.down_button = _button("Dow&n", "Move the selected frame towards the end of the list.")
        self.remove_button = _button("Remove", "Take the selected frame out of the window; its file stays (Delete).")
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.list)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.remove_button.click)
        self.aligned = QCheckBox("Show &aligned", checked=self.session.aligned)
        self.aligned.setToolTip("Place every frame where registration found it; untick to see them pixel on pixel.")
        buttons = row(self.up_button, self.down_button, self.remove_button, None, self.aligned)
        return group("Frames", self.list, buttons)


def _frames(count: int) -> str:
    return f"{count or 'no'} frame{'' if count == 1 else 's'}"


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button

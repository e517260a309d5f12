"""The Alignment dock: see how every frame lies on the reference, and correct it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QShortcut,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hsimisr.errors import HsimisrError
from napari_hsimisr.adjusting import Adjuster
from napari_hsimisr.alignment import State
from napari_hsimisr.alignment_file import Loaded, plan_loading, plan_saving
from napari_hsimisr.app import connect, join_session
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.inspection import Inspection, Look
from napari_hsimisr.layers import cube_of
from napari_hsimisr.mouse import World
from napari_hsimisr.session import Status
from napari_hsimisr.view import pixel_at
from napari_hsimisr.widgets.layout import group, row
from napari_hsimisr.widgets.motion_table import MotionTable
from napari_hsimisr.widgets.status import StatusLine

if TYPE_CHECKING:
    import napari

STEPS = (0.01, 0.05, 0.1, 0.5)  # pixels of the reference
SPIN_WIDTH = 90  # screen pixels
FILTER = "Registration (*.json)"
LOOKS = {
    Look.OFF: "Show the frames as they are.",
    Look.FLICKER: "Show the reference and the frame by turns: what jumps is not aligned.",
    Look.CHECKERBOARD: "Squares of the reference and of the frame by turns: edges that break are not aligned.",
    Look.DIFFERENCE: "Frame minus reference, gain and offset taken out: edges in red and blue are not aligned.",
}


class AlignmentWidget(QWidget):
    """The motions as a table, ways to see them on the canvas, and ways to change them."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.session = join_session(napari_viewer, self)
        self._adjuster = Adjuster(napari_viewer, self, self._move_by_key, self._move_by_drag)
        self._files = LatestRead()
        self.inspection = Inspection(self.session)
        self.table = MotionTable(self.session)
        self._draw()

        session, alignment, dims = self.session, self.session.alignment, napari_viewer.dims.events
        camera = napari_viewer.scene.camera.events
        for changed in (session.motions_changed, session.frames_changed, session.aligned_changed):
            connect(self, changed, self.refresh)
        for moved in (session.estimate_changed, dims.current_step, camera.center, camera.zoom):
            connect(self, moved, self._redraw)
        connect(self, session.status_changed, self.status.show_status)
        connect(self, session.busy_changed, self._show_busy)
        self.table.chosen.connect(self._inspect)
        self.inspection.described.connect(self.seen.setText)
        self.inspection.failed.connect(self._tell_error)
        self._files.done.connect(self._file_done)
        self._files.failed.connect(self._file_failed)

        self.register_button.clicked.connect(self.register)
        self.cancel_button.clicked.connect(session.cancel)
        self.fixed.toggled.connect(alignment.fix)
        self.adjust_button.toggled.connect(self._adjust)
        self.reset_frame_button.clicked.connect(self._reset_frame)
        self.reset_all_button.clicked.connect(lambda: alignment.reset(session.frames))
        self.start_over_button.clicked.connect(alignment.start_over)
        self.undo_button.clicked.connect(alignment.undo)
        self.redo_button.clicked.connect(alignment.redo)
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.load_button.clicked.connect(self._ask_what_to_load)
        self.destroyed.connect(self._files.close)
        self.destroyed.connect(self.inspection.close)
        self.destroyed.connect(self._adjuster.stop)
        self._inspect()
        self.refresh()

    @property
    def look(self) -> Look:
        """How the selected frame is compared with the reference."""
        return self.inspection.look

    def choose_look(self, look: Look) -> None:
        """Press one of the buttons."""
        self.looks[look].setChecked(True)

    def register(self) -> None:
        """Register anew from the motions as they stand, around the view on the canvas."""
        self.session.refine(self.session.config, whole=False, from_here=True)

    def nudge(self, move_yx: tuple[float, float], *, same_step: bool = False) -> None:
        """Move the selected frame's picture, by reference pixels."""
        layer, reference = self.table.layer, self.session.reference
        if layer is None or reference is None:
            self._tell_error("no frame is selected; open the frames of one scene and select one in the table")
            return
        try:
            self.session.alignment.nudge(layer, move_yx, reference, same_step=same_step)
        except HsimisrError as error:
            self._tell_error(str(error))

    def save(self, path: Path) -> None:
        """Write the motions as they stand to a registration file, in the background."""
        try:
            plan = plan_saving(self.session, path)
        except HsimisrError as error:
            self._tell_error(str(error))
            return
        self._use_files(plan.write)

    def load(self, path: Path) -> None:
        """Use the motions of a registration file as they are, once they are read in the background."""
        try:
            plan = plan_loading(self.session, path)
        except HsimisrError as error:
            self._tell_error(str(error))
            return
        self._use_files(plan.read)

    def refresh(self) -> None:
        """Show what can be done now."""
        alignment, state = self.session.alignment, self.session.alignment.state
        known = bool(state.motions)
        self.origin.setText(_origin(self.session.alignment.state))
        with QSignalBlocker(self.fixed):
            self.fixed.setChecked(state.fixed)
        self.fixed.setEnabled(known)
        self.register_button.setEnabled(not state.fixed)
        self.undo_button.setEnabled(alignment.can_undo)
        self.redo_button.setEnabled(alignment.can_redo)
        self.reset_frame_button.setEnabled(self.table.layer is not None and state.by_hand(self.table.layer))
        self.reset_all_button.setEnabled(state.corrected)
        self.start_over_button.setEnabled(known)
        motion = None if self.table.layer is None else state.motions.get(self.table.layer)
        self.field.setEnabled(motion is not None and motion.field is not None)
        self._redraw()

    def _show_busy(self, busy: bool) -> None:
        self.cancel_button.setEnabled(busy)

    def _redraw(self) -> None:
        self.inspection.refresh()

    def _inspect(self) -> None:
        self.inspection.inspect(self.table.layer)
        self.refresh()

    def _reset_frame(self) -> None:
        if self.table.layer is not None:
            self.session.alignment.reset([self.table.layer])

    def _look_at(self, look: Look) -> None:
        self.rate.setVisible(look is Look.FLICKER)
        self.squares.setVisible(look is Look.CHECKERBOARD)
        self.inspection.set_look(look)

    def _adjust(self, on: bool) -> None:
        """Arrow keys and drags move the selected frame, or do what they did before."""
        if not on:
            self._adjuster.stop()
            return
        self._adjuster.start()
        self.session.show_aligned(True)
        if self.look is Look.OFF:  # the frame itself may be hidden, or lie below others
            self.choose_look(Look.DIFFERENCE)

    def _move_by_key(self, direction: tuple[float, float]) -> None:
        step = self.step.currentData()
        self.nudge((step * direction[0], step * direction[1]))

    def _move_by_drag(self, start: World, end: World, first: bool) -> None:
        reference = self.session.motion_reference or self.session.reference
        if reference is not None:
            before, after = (pixel_at(reference, (0.0, *world)) for world in (start, end))
            self.nudge((after[0] - before[0], after[1] - before[1]), same_step=not first)

    def _ask_where_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the alignment", str(self._folder() / "registration.json"), FILTER
        )
        if path:
            self.save(Path(path) if Path(path).suffix else Path(path).with_suffix(".json"))

    def _ask_what_to_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load an alignment", str(self._folder()), FILTER)
        if path:
            self.load(Path(path))

    def _folder(self) -> Path:
        """Where the reference's file is."""
        cube = cube_of(self.session.reference)
        return Path.home() if cube is None or cube.source is None else Path(cube.source.path).parent

    def _use_files(self, work: Callable[[], object]) -> None:
        """One file at a time: a request that comes meanwhile would take the place of this one."""
        for button in (self.save_button, self.load_button):
            button.setEnabled(False)
        self._files.request(work)

    def _file_done(self, outcome: object) -> None:
        self._files_are_free()
        if not isinstance(outcome, Loaded):
            names = ", ".join(path.name for path in outcome)
            self.status.show_status(Status(f"saved {names}"))
            return
        alignment, name = self.session.alignment, outcome.path.name
        alignment.take_file(outcome.layers, outcome.registration, outcome.psf, outcome.noise, name)
        text, wanted = (
            f"{name}: motions of {len(outcome.layers)} frames, to be used as they are",
            self.session.config.psf,
        )
        hint = (
            f"they were found with the PSF {outcome.psf}, the Refine dock says {wanted}"
            if outcome.psf != wanted
            else ""
        )
        self.status.show_status(Status(text, hint))

    def _file_failed(self, text: str) -> None:
        self._files_are_free()
        self._tell_error(text)

    def _files_are_free(self) -> None:
        for button in (self.save_button, self.load_button):
            button.setEnabled(True)

    def _tell_error(self, text: str) -> None:
        self.status.show_status(Status(text, error=True))

    def _draw(self) -> None:
        self.seen = QLabel(wordWrap=True)
        self.status = StatusLine("Refine or register the frames, then select one to see how it lies on the reference.")
        layout = QVBoxLayout(self)
        layout.addWidget(self.table, 1)
        layout.addLayout(self._draw_files())
        layout.addWidget(self._draw_looks())
        layout.addWidget(self._draw_corrections())
        layout.addWidget(self.status)

    def _draw_files(self) -> QHBoxLayout:
        self.origin = QLabel(wordWrap=True)
        self.load_button = _button("Load…", "Read a registration.json of the command line or of this dock.")
        self.save_button = _button("Save…", "Write registration.json, for `hsimisr refine` or for later.")
        files = row(self.origin, self.load_button, self.save_button)
        files.setStretch(0, 1)
        return files

    def _draw_looks(self) -> QGroupBox:
        self.looks = {look: QPushButton(look.value, checkable=True) for look in Look}
        self._look_group = QButtonGroup(self)
        for look, button in self.looks.items():
            button.setToolTip(LOOKS[look])
            button.toggled.connect(lambda on, look=look: self._look_at(look) if on else None)
            self._look_group.addButton(button)
        self.rate = QDoubleSpinBox(minimum=0.5, maximum=10, value=2, singleStep=0.5, suffix=" Hz", visible=False)
        self.rate.setToolTip("How often a second the picture changes.")
        self.rate.valueChanged.connect(self.inspection.flicker.set_rate)
        self.squares = QSpinBox(minimum=1, maximum=512, value=8, suffix=" px", visible=False)
        self.squares.setToolTip("Side of the squares, in pixels of the reference.")
        self.squares.valueChanged.connect(self.inspection.set_squares)
        self.arrows = QCheckBox("Motion arrows")
        self.arrows.setToolTip(
            "Where the scene stands in this frame, as arrows from the reference; the layer's name tells how much "
            "longer they are drawn. A motion that is more than a shift is shown about its median."
        )
        self.arrows.toggled.connect(self.inspection.show_arrows)
        self.field = QCheckBox("Local field")
        self.field.setToolTip("How far each place moves beyond the frame's common motion, in pixels of the reference.")
        self.field.toggled.connect(self.inspection.show_field)
        for spin in (self.rate, self.squares):
            spin.setMaximumWidth(SPIN_WIDTH)
        self.looks[Look.OFF].setChecked(True)
        return group(
            "Compare the selected frame with the reference",
            row(*self.looks.values()),
            row(self.arrows, self.field, None, self.rate, self.squares),
            self.seen,
        )

    def _draw_corrections(self) -> QGroupBox:
        self.adjust_button = QPushButton("Adjust", checkable=True)
        self.adjust_button.setToolTip(
            "While this is on, the arrow keys and drags on the canvas move the selected frame; Shift with a key moves "
            "it ten times as far. The wheel still zooms."
        )
        self.step = QComboBox()
        for step in STEPS:
            self.step.addItem(f"{step:g} px", step)
        self.step.setCurrentIndex(STEPS.index(0.05))
        self.step.setToolTip("How far one key press moves the frame, in pixels of the reference.")
        self.reset_frame_button = _button(
            "Reset frame", "Give the selected frame the motion of the last run or file back."
        )
        self.reset_all_button = _button("Reset all", "Give every frame the motion of the last run or file back.")
        self.start_over_button = _button("Start over", "Forget every motion: the next run searches from scratch.")
        self.undo_button = _button("Undo", "Take the last change of the motions back (Ctrl+Z in this dock).")
        self.redo_button = _button("Redo", "Make it again (Ctrl+Shift+Z in this dock).")
        for button, keys in ((self.undo_button, "Ctrl+Z"), (self.redo_button, "Ctrl+Shift+Z")):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(button.click)
        self.register_button = _button(
            "Register", "Register the frames from where they stand now, and refine the view on the canvas."
        )
        self.cancel_button = _button("Cancel", "Stop the run; the picture reached so far stays.")
        self._show_busy(self.session.busy)
        self.fixed = QCheckBox("Use as it is")
        self.fixed.setToolTip("Let runs take these motions as they are, without registering again.")
        return group(
            "Correct it",
            row(self.adjust_button, self.step, None, self.undo_button, self.redo_button),
            row(self.reset_frame_button, self.reset_all_button, self.start_over_button),
            row(self.register_button, self.cancel_button, None, self.fixed),
        )


def _origin(state: State) -> str:
    """How the motions came about."""
    if not state.motions:
        return "Not registered yet: the frames are shown as they were measured."
    frames = sum(not motion.excluded for motion in state.motions.values())
    parts = [state.origin or "moved by hand", f"{frames} of {len(state.motions)} frames"]
    parts += [f"PSF {state.psf}"] if state.psf is not None else []
    parts += ["around one view only"] if state.provisional else []
    if state.corrected and state.origin:
        parts.append("then corrected by hand")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button

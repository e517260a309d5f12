"""The list of finished runs: show one again, rename it, delete it, compare two of them."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QSlider,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hsimisr.report.verdicts import verdict_brief
from napari_hsimisr.app import connect
from napari_hsimisr.history import Run
from napari_hsimisr.run_pair import RunPair, Way
from napari_hsimisr.session import Session
from napari_hsimisr.widgets.layout import row

NUMBER = Qt.ItemDataRole.UserRole
HEADERS = ("Run", "Settings", "s", "Held-out")
HEIGHT = 88
STEPS = 200


class RunList(QWidget):
    """The session's history, the newest run on top; `restored` tells that one is about to be shown again."""

    restored = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.pair = RunPair(session.viewer)
        self._draw()
        self.restore_button.clicked.connect(self._restore)
        self.delete_button.clicked.connect(self._delete)
        self.blink_button.clicked.connect(lambda on: self._compare("blink", on))
        self.curtain_button.clicked.connect(lambda on: self._compare("curtain", on))
        self.curtain.valueChanged.connect(lambda value: self.pair.move(value / STEPS))
        self.pair.moved.connect(self._follow_divider)
        self.pair.ended.connect(self._show_comparison)
        self.pair.failed.connect(self._note.setText)
        self.tree.itemChanged.connect(self._rename)
        self.tree.itemDoubleClicked.connect(self._edit)
        self.tree.itemSelectionChanged.connect(self._offer)
        connect(self, session.history.changed, self.refresh)
        self.destroyed.connect(self.pair.close)
        self.refresh()

    def refresh(self) -> None:
        """Show the runs as they are now."""
        chosen = {run.number for run in self._chosen()}
        history = self._session.history
        runs = list(reversed(list(history)))
        with QSignalBlocker(self.tree):
            if [item.data(0, NUMBER) for item in self._items()] != [run.number for run in runs]:
                self.tree.clear()  # never while a name is edited: that item would be deleted in mid-change
                self.tree.addTopLevelItems([QTreeWidgetItem() for _ in runs])
            for item, run in zip(self._items(), runs, strict=True):
                _update(item, run)
                item.setSelected(run.number in chosen)
        self.memory.setText(f"{_mib(history.nbytes)} of {_mib(history.limit)} MiB; beyond that the oldest views go")
        if self._compared and any(history.find(run.number) is None for run in self._compared):
            self.pair.stop()
        self._offer()

    def _chosen(self) -> list[Run]:
        """The selected runs, from the top of the list down."""
        chosen = (item.data(0, NUMBER) for item in self._items() if item.isSelected())
        found = (self._session.history.find(number) for number in chosen)
        return [run for run in found if run is not None]

    def _items(self) -> list[QTreeWidgetItem]:
        items = (self.tree.topLevelItem(n) for n in range(self.tree.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _edit(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0:
            self.tree.editItem(item, 0)

    def _restore(self) -> None:
        self.restored.emit()
        self._session.restore(self._chosen()[0])

    def _delete(self) -> None:
        for run in self._chosen():
            self._session.history.delete(run.number)

    def _rename(self, item: QTreeWidgetItem) -> None:
        self._session.history.rename(item.data(0, NUMBER), item.text(0))

    def _compare(self, way: Way, on: bool) -> None:
        if on:
            if not self.pair.running:  # else the other way of looking at the same two
                newer, older = self._chosen()
                self._compared = (older, newer)
            self.pair.start(*self._compared, way)
        else:
            self.pair.stop()
        self._show_comparison()

    def _show_comparison(self) -> None:
        if not self.pair.running:
            self._compared = ()
        way = self.pair.way
        self.blink_button.setChecked(way == "blink")
        self.curtain_button.setChecked(way == "curtain")
        self.curtain.setVisible(way == "curtain")
        self._note.setText(" · ".join(f"{side}: {run.name}" for side, run in zip("AB", self._compared, strict=False)))
        self._note.setVisible(bool(self._compared))
        self._offer()

    def _follow_divider(self, share: float) -> None:
        with QSignalBlocker(self.curtain):
            self.curtain.setValue(round(share * STEPS))

    def _offer(self) -> None:
        count = len(self.tree.selectedItems())
        self.restore_button.setEnabled(count == 1)
        self.delete_button.setEnabled(count > 0)
        for button in (self.blink_button, self.curtain_button):
            button.setEnabled(count == 2 or self.pair.running)

    def _draw(self) -> None:
        self._compared: tuple[Run, Run] | tuple[()] = ()
        self.tree = QTreeWidget(rootIsDecorated=False, objectName="runs")
        self.tree.setHeaderLabels(list(HEADERS))
        self.tree.setFixedHeight(HEIGHT)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, len(HEADERS)):
            self.tree.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setStretchLastSection(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.tree.setToolTip("Double-click a name to change it. Select two runs (Ctrl) to compare them.")
        self.restore_button = QPushButton("Show again")
        self.restore_button.setToolTip("Show this run again without computing, and set the knobs to what it ran with.")
        self.delete_button = QPushButton("Delete")
        self.delete_button.setToolTip("Forget these runs and free their memory.")
        self.blink_button = QPushButton("Blink", checkable=True)
        self.blink_button.setToolTip("Show the two selected runs by turns.")
        self.curtain_button = QPushButton("Curtain", checkable=True)
        self.curtain_button.setToolTip("Show the older run left of a divider and the newer one right of it; drag it.")
        self.curtain = QSlider(Qt.Orientation.Horizontal, maximum=STEPS, value=STEPS // 2, visible=False)
        self.curtain.setToolTip("Where the divider stands.")
        self.memory = QLabel(wordWrap=True)
        self._note = QLabel(wordWrap=True, visible=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(row(self.restore_button, self.delete_button, self.blink_button, self.curtain_button))
        layout.addWidget(self.curtain)
        layout.addWidget(self._note)
        layout.addWidget(self.memory)


def _update(item: QTreeWidgetItem, run: Run) -> None:
    held_out = verdict_brief(run.result)
    texts = [run.name, run.settings, f"{run.seconds:.1f}", held_out or "–"]
    item.setData(0, NUMBER, run.number)
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
    estimate, scene = run.result.estimate, run.result.scene
    how = f"{estimate.method}, rank {estimate.subspace.rank}, PSF {scene.psf}"
    told = [
        f"{run.name}, finished at {run.finished:%H:%M:%S} in {run.seconds:.1f} s",
        f"{run.settings}: {how}, {len(scene.registration.included)} frames",
        f"held-out frames let in: {held_out}" if held_out else "no learned stage, nothing for held-out frames to judge",
        f"{_mib(run.nbytes)} MiB",
    ]
    for column, text in enumerate(texts):
        item.setText(column, text)
        item.setToolTip(column, "\n".join(told))


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.0f}" if nbytes >= 10 * 2**20 else f"{nbytes / 2**20:.1f}"

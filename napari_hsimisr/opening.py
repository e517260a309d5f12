"""Opening files off the GUI thread: frames appear one by one, and what cannot be read hides none of the others."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from hsimisr.errors import ReadError
from hsimisr.io.assemble import DAMAGED
from hsimisr.io.open import open_readable, parse_spec
from napari_hsimisr.layers import LayerData, frame_layer
from napari_hsimisr.turns import Turns


@dataclass(frozen=True)
class Opening:
    """What a person opened in one go: paths (or ``file:array``, ``file#3``), and whether their bands are frames."""

    paths: tuple[str, ...]
    bands_as_frames: bool = False

    def __str__(self) -> str:
        first = Path(self.paths[0])
        others = len(self.paths) - 1
        text = f"{first.name} and {others} more" if others else first.name
        return f"{text}, bands as frames" if self.bands_as_frames else text


@dataclass(frozen=True)
class Report:
    """How an opening ended.

    Attributes:
        frames: how many were opened.
        failures: one text for each source that could not be read; it names the file.
        missing: the paths that are no longer there.
    """

    opening: Opening
    frames: int
    failures: tuple[str, ...]
    missing: tuple[str, ...]


class Opener(QObject):
    """Reads on one background thread, in the order asked for, and adds a layer per frame to the viewer.

    The first frame of an opening is visible; the others would only cost drawing time. `ended` carries a `Report`,
    `failed` the text of an error that is no file's fault.
    """

    ended = Signal(object)
    failed = Signal(str)
    busy_changed = Signal(bool)
    _read = Signal(object)
    _done = Signal(object)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsimisr-open")
        self._turns = Turns()
        self._waiting = 0
        self._closed = False
        self._read.connect(self._add_soon)
        self._done.connect(self._report_soon)

    @property
    def busy(self) -> bool:
        """Whether anything is still being opened."""
        return self._waiting > 0

    def open(self, paths: Sequence[str], *, bands_as_frames: bool = False) -> None:
        """Open files and folders as frames."""
        self._waiting += 1
        self.busy_changed.emit(True)
        opening = Opening(tuple(paths), bands_as_frames)
        self._threads.submit(self._work, opening).add_done_callback(self._hand_over)

    def close(self) -> None:
        """Drop what is waiting and add nothing more."""
        self._closed = True
        self._turns.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, opening: Opening) -> Report:
        """On the background thread."""
        failures: list[str] = []
        frames = 0
        for cube in open_readable(opening.paths, opening.bands_as_frames):
            if self._closed:
                break
            if isinstance(cube, ReadError):
                failures.append(str(cube))
                continue
            try:
                layer = frame_layer(cube)
            except DAMAGED as error:
                failures.append(f"{cube.source}: its data cannot be decoded ({error}); it is damaged, copy it again")
                continue
            layer[1]["visible"] = frames == 0
            frames += 1
            self._read.emit(layer)
        missing = tuple(filter(_is_missing, opening.paths)) if failures else ()
        return Report(opening, frames, tuple(failures), missing)

    def _hand_over(self, future: Future[Report]) -> None:
        """On the background thread; the signals bring it to the GUI thread, after the frames."""
        if self._closed or future.cancelled():
            return
        error = future.exception()
        self._done.emit(future.result() if error is None else f"opening failed: {error!r}")
        if error is not None:
            raise error

    def _add_soon(self, layer: LayerData) -> None:
        if not self._closed:
            self._turns.add(partial(self._add, layer))

    def _report_soon(self, report: object) -> None:
        if not self._closed:
            self._turns.add(partial(self._report, report))

    def _add(self, layer: LayerData) -> None:
        data, attributes, _ = layer
        self._viewer.add_layer(Image(data, **attributes))

    def _report(self, report: object) -> None:
        self._waiting -= 1
        self.busy_changed.emit(self.busy)
        if isinstance(report, Report):
            self.ended.emit(report)
        else:
            self.failed.emit(str(report))


def _is_missing(path: str) -> bool:
    try:
        parse_spec(path)
    except ReadError:
        return True
    return False

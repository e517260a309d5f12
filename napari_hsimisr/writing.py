"""One file at a time, written on a thread of its own: progress, an end, and a way to stop."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from hsimisr.errors import Cancelled, HsimisrError
from hsimisr.pipeline.save import Saved, Watch

Work = Callable[[Watch], Saved]
BUG = "this is a bug; the terminal shows where"


class Writing(QObject):
    """Carries out one piece of work after another; `ended` comes after each of them, whatever became of it.

    `progressed` tells percent, `saved` what was written, `failed` why nothing was, and `stopped` that a person did it.
    """

    progressed = Signal(int)
    saved = Signal(object)
    failed = Signal(str)
    stopped = Signal()
    ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._stop = threading.Event()
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._busy

    def start(self, work: Work) -> None:
        """Begin to write; the one before has to have ended."""
        assert not self.busy
        self._stop, self._busy = threading.Event(), True
        # no daemon: when the application quits, `cancel` has told it to stop, and it tidies up first
        threading.Thread(target=self._carry_out, args=(work, self._stop), name="hsimisr-write").start()

    def cancel(self) -> None:
        """Stop at the next block; what was there before stays as it was."""
        self._stop.set()

    def _carry_out(self, work: Work, stop: threading.Event) -> None:
        told = -1

        def watch(done: int, total: int) -> None:
            nonlocal told
            if stop.is_set():
                raise Cancelled
            percent = 100 * done // total
            if percent != told:
                told = percent
                self.progressed.emit(percent)

        try:
            self.saved.emit(work(watch))
        except Cancelled:
            self.stopped.emit()
        except (HsimisrError, OSError) as error:
            self.failed.emit(str(error))
        except MemoryError:
            self.failed.emit("out of memory: save as .zarr, .nc, .tif or .hdr, which are written piece by piece")
        except Exception as error:  # noqa: BLE001 - the edge of the thread: a bug must reach the user, and the log
            traceback.print_exc()
            self.failed.emit(f"{type(error).__name__}: {error}; {BUG}")
        finally:
            self._busy = False  # before anybody is told that it has ended
            self.ended.emit()

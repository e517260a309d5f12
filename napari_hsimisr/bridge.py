"""From other threads to the window: events of the engine, and small reads done in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from qtpy.QtCore import QObject, QTimer, Signal

from hsimisr.errors import HsimisrError
from hsimisr.pipeline.events import Event, Preview, Progress

DELIVERY_MS = 50
T = TypeVar("T")


class Mailbox(QObject):
    """Hands events to `deliver` on the GUI thread, at most every 50 ms.

    Of progress and previews that arrive in between, the newest counts; terminal events all arrive, in order.
    """

    _arrived = Signal()

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        super().__init__()
        self._deliver = deliver
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._timer = QTimer(self, singleShot=True, interval=DELIVERY_MS)
        self._timer.timeout.connect(self._empty)
        self._arrived.connect(self._announce)

    def put(self, event: Event) -> None:
        """Take an event; callable from any thread."""
        with self._lock:
            first = not self._events
            if isinstance(event, Progress | Preview):
                self._events = deque(e for e in self._events if type(e) is not type(event) or e.job != event.job)
            self._events.append(event)
        if first:
            self._arrived.emit()

    def _announce(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _empty(self) -> None:
        with self._lock:
            events, self._events = self._events, deque()
        for event in events:
            self._deliver(event)


class LatestRead(QObject):
    """Runs functions on one background thread; of requests made meanwhile only the last is carried out.

    `done` carries what the function returned, `failed` the text of the error the data are to blame for.
    """

    done = Signal(object)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsimisr-read")
        self._ticket = 0

    def request(self, read: Callable[[], object]) -> None:
        """Carry out `read` off the GUI thread, unless a newer request comes first."""
        self._ticket += 1
        ticket = self._ticket

        def unless_overtaken() -> object:
            return read() if ticket == self._ticket else None

        def finished(future: Future[object]) -> None:
            if ticket != self._ticket or future.cancelled():
                return
            error = future.exception()
            if error is None:
                self.done.emit(future.result())
            elif isinstance(error, HsimisrError | OSError):
                self.failed.emit(str(error))
            else:
                raise error

        self._threads.submit(unless_overtaken).add_done_callback(finished)

    def close(self) -> None:
        """Drop what is waiting and deliver nothing more."""
        self._ticket += 1
        self._threads.shutdown(wait=False, cancel_futures=True)

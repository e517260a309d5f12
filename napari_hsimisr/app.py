"""One session and one engine per viewer, shared by its docks and ended with the last of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary, WeakMethod, WeakSet

from napari.components import ViewerModel
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QDockWidget, QWidget

from hsimisr.pipeline.events import Event
from napari_hsimisr.bridge import Mailbox
from napari_hsimisr.engine import Engine
from napari_hsimisr.session import Session
from napari_hsimisr.turns import Turns


def join_session(viewer: ViewerModel, dock: QWidget) -> Session:
    """The viewer's session, which lasts while `dock` or another one lives; its engine starts to warm up at once."""
    shared = _shared.get(viewer)
    if shared is None:
        shared = _shared[viewer] = _Shared(viewer)
    shared.docks += 1
    shared.widgets.add(dock)
    dock.destroyed.connect(shared.leave)
    return shared.session


def docks_of(viewer: ViewerModel) -> list[QWidget]:
    """Our widgets that sit in docks of the viewer."""
    shared = _shared.get(viewer)
    widgets = [] if shared is None else list(shared.widgets)
    return [widget for widget in widgets if isalive(widget) and isinstance(widget.parentWidget(), QDockWidget)]


def connect(dock: QWidget, signal: Connectable, slot: Callable[..., object]) -> None:
    """Connect a signal of the viewer or the session, which outlive the dock, until the dock is destroyed."""
    signal.connect(slot)
    connection = _Connection(signal, slot)
    _connections.add(connection)
    dock.destroyed.connect(connection.end)


class Connectable(Protocol):
    """A napari event emitter or a psygnal signal."""

    def connect(self, slot: Callable[..., object], /) -> object: ...

    def disconnect(self, slot: Callable[..., object], /) -> object: ...


class _Connection:
    """A slot of a dock, and what it is connected to.

    Python may find a closed dock to be garbage, and clears what only the dock knows before the dock is destroyed: what
    is called then has to be kept elsewhere, and must not keep the dock.
    """

    def __init__(self, signal: Connectable, slot: Callable[..., object]) -> None:
        self._signal = signal
        self._slot = WeakMethod(slot)

    def end(self) -> None:
        """Undo it, where the slot is still there."""
        _connections.discard(self)
        slot = self._slot()
        if slot is not None:
            self._signal.disconnect(slot)


class _Shared:
    """A session wired to an engine by way of the GUI thread."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.docks = 0
        self.widgets: WeakSet[QWidget] = WeakSet()
        self._turns = Turns()
        self._mailbox = Mailbox(self._deliver)
        self._engine = Engine(self._mailbox.put)
        self.session = Session(viewer, self._engine, later=self._turns.add)
        self._engine.start()
        application = QCoreApplication.instance()
        assert application is not None
        self._quit = application.aboutToQuit
        self._quit.connect(self._engine.close)

    def leave(self) -> None:
        """A dock is gone; with the last one everything ends."""
        self.docks -= 1
        if self.docks == 0:
            self._quit.disconnect(self._engine.close)
            self._engine.close()
            self._turns.close()
            self.session.close()
            del _shared[self.session.viewer]

    def _deliver(self, event: Event) -> None:
        self._turns.add(partial(self.session.handle, event))


_shared: WeakKeyDictionary[ViewerModel, _Shared] = WeakKeyDictionary()
_connections: set[_Connection] = set()

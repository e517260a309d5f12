"""Messages between the window and the engine process: pickles on a pipe, large arrays as memory-mapped files.

Mapped files share their pages like `multiprocessing.shared_memory`, but they neither crash a process when a
container's 64 MB of `/dev/shm` are used up, nor need a tracker: the receiver deletes the file once it is mapped,
and what a killed process leaves goes with its folder.
"""

from __future__ import annotations

import mmap
import pickle
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAPPED_FROM = 1 << 16  # bytes; smaller arrays travel in the pickle
ALIGNMENT = 64


@dataclass(frozen=True)
class Ready:
    """The engine process has loaded its libraries."""

    pid: int


@dataclass(frozen=True)
class CancelJob:
    """Ask the engine process to end a job."""

    number: int


@dataclass(frozen=True)
class _Envelope:
    body: bytes
    file: str | None
    spans: tuple[tuple[int, int], ...]  # start and end of each array in the file, bytes


def send(stream: IO[bytes], message: object, folder: Path) -> None:
    """Write one message; arrays above 64 kB go to a new file in `folder`.

    Raises:
        pickle.PicklingError: something in the message cannot leave this process; nothing was written.
        OSError: no room for the file, or the other process is gone (BrokenPipeError).
    """
    arrays: list[memoryview] = []

    def travels_in_the_pickle(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= MAPPED_FROM:
            arrays.append(raw)
        return raw.nbytes < MAPPED_FROM

    try:
        body = pickle.dumps(message, protocol=5, buffer_callback=travels_in_the_pickle)
    except Exception as error:  # pickle has no error of its own for most of these: TypeError, AttributeError, ...
        raise pickle.PicklingError(str(error)) from error
    file, spans = _write(arrays, folder) if arrays else (None, ())
    pickle.dump(_Envelope(body, file, spans), stream, protocol=5)
    stream.flush()


def receive(stream: IO[bytes], folder: Path) -> object:
    """Read the next message; its large arrays are read-only and live as long as someone holds them.

    Raises:
        EOFError: the other process is gone.
    """
    envelope = pickle.load(stream)
    if envelope.file is None:
        return pickle.loads(envelope.body)
    path = folder / envelope.file
    with path.open("rb") as file:
        pages = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        path.unlink()
    except PermissionError:  # Windows keeps mapped files; this one goes with the folder
        if not path.exists():
            raise
    return pickle.loads(envelope.body, buffers=[pages[start:end] for start, end in envelope.spans])


def _write(arrays: list[memoryview], folder: Path) -> tuple[str, tuple[tuple[int, int], ...]]:
    name = uuid.uuid4().hex
    spans = []
    try:
        with (folder / name).open("wb") as file:
            for array in arrays:
                file.write(b"\0" * (-file.tell() % ALIGNMENT))
                start = file.tell()
                file.write(array)
                spans.append((start, start + array.nbytes))
    except OSError:
        (folder / name).unlink(missing_ok=True)  # a full disk needs the room
        raise
    return name, tuple(spans)

"""The engine: proxy of the process that owns the device. It is free of Qt; events arrive on its own thread.

One job runs at a time, the others wait in order. A newer view job takes the place of an older one, running or
waiting; region and cube jobs are never dropped, and a view job that meets one waits behind it. Every job submitted
gets exactly one terminal event, also when its process dies.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dask.array as da
import numpy as np

from hsimisr.cube import Cube, CubeSource
from hsimisr.pipeline.events import Cancelled, Event, Failed, Finished, HeldOut, Preview, Progress, Sink
from hsimisr.pipeline.job import Job
from napari_hsimisr.transport import CancelJob, Ready, receive, send

RUNNER = "hsimisr.pipeline.run:run"


class Engine:
    """Runs jobs in a process of its own.

    Args:
        sink: gets every event, on the engine's thread.
        runner: ``module:function`` that carries out a job in the process.
    """

    def __init__(self, sink: Sink, runner: str = RUNNER) -> None:
        self._sink = sink
        self._runner = runner
        self._inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="hsimisr-engine", daemon=True)
        # what follows belongs to that thread
        self._process: _Process | None = None
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._superseded = False

    def start(self) -> None:
        """Start the process, so that it is warm when the first job comes."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; returns at once."""
        self._inbox.put(job)

    def cancel(self, number: int) -> None:
        """Ask a running job to stop, or forget a waiting one."""
        self._inbox.put(CancelJob(number))

    def close(self) -> None:
        """End the process, whatever it does; nothing is delivered afterwards."""
        self._inbox.put(_Close())
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def pid(self) -> int | None:
        """Id of the process, or None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def _serve(self) -> None:
        self._launch()
        while True:
            match self._inbox.get():
                case _Close():
                    if self._process is not None:
                        self._process.end()
                        self._process = None
                    return
                case Job() as job:
                    self._accept(job)
                case CancelJob(number):
                    self._cancel(number)
                case _Said(process, message) if process is self._process:
                    self._hear(message)
                case _Died(process) if process is self._process:
                    self._bury(process)
            self._send_next()

    def _accept(self, job: Job) -> None:
        if job.kind == "view":
            for older in [waiting for waiting in self._waiting if waiting.kind == "view"]:
                self._forget(older)
            if self._running is not None and self._running.kind == "view" and not self._superseded:
                self._superseded = True
                self._tell_process(CancelJob(self._running.number))
        self._waiting.append(job)

    def _cancel(self, number: int) -> None:
        for job in [waiting for waiting in self._waiting if waiting.number == number]:
            self._forget(job)
        if self._running is not None and self._running.number == number:
            self._tell_process(CancelJob(number))

    def _forget(self, job: Job) -> None:
        self._waiting.remove(job)
        self._sink(Cancelled(job.number))

    def _send_next(self) -> None:
        while self._running is None and self._waiting:  # one that cannot be sent makes room for the next
            if self._process is None:
                self._launch()
            if self._process is None:
                return
            self._running, self._superseded = self._waiting.pop(0), False
            try:
                job = replace(self._running, frames=tuple(_portable(frame) for frame in self._running.frames))
            except Exception as error:  # noqa: BLE001 - whatever reading the layer's own array raises ends the job
                self._finish(Failed(self._running.number, f"cannot read a frame: {error}", "leave that frame out"))
            else:
                self._tell_process(job)

    def _tell_process(self, message: object) -> None:
        assert self._process is not None
        assert self._running is not None
        try:
            with suppress(BrokenPipeError):  # the process has just died: `_Died` is on its way and says so
                self._process.send(message)
        except OSError as error:
            hint = f"make room in {tempfile.gettempdir()} or point TMPDIR elsewhere"
            self._finish(Failed(self._running.number, f"cannot hand the frames over: {error}", hint))
        except pickle.PicklingError as error:
            hint = "take that object out of the frame's metadata, or save the frame to a file and open that"
            self._finish(Failed(self._running.number, f"cannot hand the frames over: {error}", hint))

    def _hear(self, message: object) -> None:
        assert self._process is not None
        if isinstance(message, Ready):
            self._process.was_ready = True
        elif self._running is None or getattr(message, "job", None) != self._running.number:
            return  # late
        elif isinstance(message, Finished | Failed | Cancelled):
            self._finish(Cancelled(message.job) if self._superseded else message)
        elif isinstance(message, Progress | Preview | HeldOut) and not self._superseded:
            self._sink(message)

    def _finish(self, event: Finished | Failed | Cancelled) -> None:
        self._running, self._superseded = None, False
        self._sink(event)

    def _launch(self) -> None:
        try:
            self._process = _Process(self._runner, self._inbox)
        except OSError as error:
            self._fail_all(f"the engine process could not start: {error}", "close other programs, then try again")

    def _bury(self, process: _Process) -> None:
        code = process.end(grace=1)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._process = None
        if process.was_ready:
            if self._running is not None:
                error = f"the engine process ended while it worked ({how})"
                killed = "memory may have run out: refine a smaller view or a smaller scale"
                hint = killed if code < 0 else "the terminal shows why"
                self._finish(Failed(self._running.number, error, f"{hint}. A fresh engine has started"))
            self._launch()
        else:
            self._fail_all(f"the engine process could not start ({how})", "the terminal shows why")

    def _fail_all(self, error: str, hint: str) -> None:
        lost = self._waiting if self._running is None else [self._running, *self._waiting]
        self._waiting = []
        for job in lost:
            self._finish(Failed(job.number, error, hint))


class _Close:
    pass


@dataclass(frozen=True)
class _Said:
    process: _Process
    message: Event | Ready


@dataclass(frozen=True)
class _Died:
    process: _Process


class _Process:
    """One life of the engine process; what it says, and its end, go to the inbox."""

    def __init__(self, runner: str, inbox: queue.SimpleQueue[object]) -> None:
        self.was_ready = False
        self._inbox = inbox
        self._folder = tempfile.TemporaryDirectory(prefix="hsimisr-", ignore_cleanup_errors=True)
        # not a multiprocessing child: that would run a user's own script again when it has no __main__ guard
        command = [sys.executable, "-m", "napari_hsimisr.worker", self._folder.name, runner]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment())
        self._reader = threading.Thread(target=self._listen, name="hsimisr-engine-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, message: object) -> None:
        assert self._child.stdin is not None
        send(self._child.stdin, message, Path(self._folder.name))

    def end(self, grace: float = 0) -> int:
        """Reap it, killing it after `grace` seconds, and remove what it left; its exit code (a signal negative)."""
        try:
            code = self._child.wait(grace)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        self._reader.join()  # it has met the end of the pipe
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what it did not read any more
                pipe.close()
        self._folder.cleanup()
        return code

    def _listen(self) -> None:
        assert self._child.stdout is not None
        try:
            while True:
                message = receive(self._child.stdout, Path(self._folder.name))
                self._inbox.put(_Said(self, message))  # type: ignore[arg-type]
        except (EOFError, pickle.UnpicklingError, FileNotFoundError):  # it died, perhaps in mid-sentence
            self._inbox.put(_Died(self))
        except Exception:  # noqa: BLE001 - the process boundary: one that is not understood is as good as dead
            traceback.print_exc()
            self._inbox.put(_Died(self))


def _portable(frame: Cube | CubeSource) -> Cube | CubeSource:
    """A frame as it crosses: its source where it has one, else the array itself, read here."""
    if isinstance(frame, CubeSource):
        return frame
    if frame.source is not None:
        return frame.source
    # without callbacks: napari's dask cache is one, and does not bear a second thread
    array = np.asarray(frame.data.compute(scheduler="synchronous", callbacks=()))
    return replace(frame, data=da.from_array(array, name=frame.data.name))  # the name tells the engine what it knows


def _environment() -> dict[str, str]:
    """Settings that numeric libraries read when they load: no spinning threads, this process's import path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.setdefault("KMP_BLOCKTIME", "0")
    if hasattr(os, "sched_getaffinity"):
        environment.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    return environment

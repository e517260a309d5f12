"""The engine process: owns the device, carries out one job after another, and dies with the window.

Started by `napari_hsimisr.engine` as ``python -m napari_hsimisr.worker FOLDER MODULE:FUNCTION`` with pipes on
standard input and output.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from napari_hsimisr.transport import CancelJob, Ready, receive, send

NICENESS = 10  # the window comes first where both want the same core


def main() -> None:
    """Serve jobs until the window closes the pipe."""
    folder, runner = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the window, which ends this process
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    requests, answers = _take_over_pipes()
    module, _, function = runner.partition(":")
    run = getattr(import_module(module), function)
    _warm_up()
    from hsimisr.pipeline.scene_cache import SceneCache

    # not before: reading a job imports modules, and torch does not bear a second thread that imports beside it
    jobs: queue.SimpleQueue[tuple[Any, threading.Event]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, folder, jobs), daemon=True).start()

    scenes = SceneCache()  # a new view of the same frames need not register them again
    one_at_a_time = threading.Lock()

    def answer(event: object) -> None:
        with one_at_a_time:
            send(answers, event, folder)

    answer(Ready(os.getpid()))
    while True:
        job, cancel = jobs.get()
        _carry_out(partial(run, job, answer, cancel, scenes), job.number, answer)


def _carry_out(run: Callable[[], None], number: int, answer: Callable[[object], None]) -> None:
    from hsimisr.pipeline.events import Failed

    try:
        run()
    except Exception as error:  # noqa: BLE001 - the process boundary: a bug must reach the user, and the log
        traceback.print_exc()
        answer(Failed(number, f"{type(error).__name__}: {error}", "this is a bug; the terminal shows where"))


def _listen(requests: IO[bytes], folder: Path, jobs: queue.SimpleQueue[tuple[Any, threading.Event]]) -> None:
    cancels: dict[int, threading.Event] = {}
    while True:
        try:
            request: Any = receive(requests, folder)
        except EOFError:  # the window is gone, however it went
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
        except Exception:  # noqa: BLE001 - the process boundary: who no longer understands the window must not outlive it
            traceback.print_exc()
            os._exit(1)  # the window's engine starts a fresh process, and removes the folder
        if isinstance(request, CancelJob):
            cancels.setdefault(request.number, threading.Event()).set()
        else:
            cancels = {request.number: threading.Event()}  # one job at a time is in flight
            jobs.put((request, cancels[request.number]))


def _take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The two pipes; what libraries print goes to standard error from here on."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, answers


def _warm_up() -> None:
    """Pay for the libraries' first call now instead of in the first job."""
    import torch

    image = torch.zeros(4, 64, 64)
    for call in (torch.fft.rfft2, partial(torch.matmul, image)):
        call(image)
    torch.linalg.cholesky(torch.eye(8, dtype=torch.float64))


if __name__ == "__main__":
    main()

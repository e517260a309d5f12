"""The entry point: one place where errors and Ctrl-C become one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from hsimisr.errors import HsimisrError

STOPPED = 130  # what shells expect of a program that Ctrl-C ended
BYE = "stopped; no file is left half-written"


def main() -> None:
    """Run the command line; exit code 1 when the data or the request is at fault, 2 for wrong usage, 130 for Ctrl-C."""
    ctrl_c = CtrlC()
    before = signal.signal(signal.SIGINT, ctrl_c)
    try:
        from hsimisr.cli.commands import app  # takes a while, and Ctrl-C may come meanwhile

        app()
    except BaseException as error:
        if ctrl_c.pressed:  # typer has made an exit of it
            sys.exit(_say(BYE, STOPPED))
        if isinstance(error, HsimisrError):
            sys.exit(_say(" ".join(str(error).split()), 1))
        raise
    finally:
        signal.signal(signal.SIGINT, before)


class CtrlC:
    """Interrupts as Python's own handler does, but ends the program at once while a module loads.

    Nothing is open then, and libraries that are interrupted halfway fail in ways of their own, or abort the process.
    """

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self, _signal: int, frame: FrameType | None) -> None:
        self.pressed = True
        if _is_loading(frame):
            os._exit(_say(BYE, STOPPED))
        raise KeyboardInterrupt


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _say(line: str, code: int) -> int:
    print(f"hsimisr: {line}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    main()

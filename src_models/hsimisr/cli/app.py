"""The entry point: one place where errors and Ctrl-C become one line and an exit code."""

from __future__ import annotations

import os
import sys

from hsimisr.errors import HsimisrError

STOPPED = 130  # what shells expect of a program that Ctrl-C ended


def main() -> None:
    """Run the command line; exit code 1 when the data or the request is at fault, 2 for wrong usage, 130 for Ctrl-C."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve other processes
    try:
        from hsimisr.cli.commands import app  # takes a while, and Ctrl-C may come meanwhile

        app()
    except HsimisrError as error:
        print(f"hsimisr: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as end:
        stopped = isinstance(end, KeyboardInterrupt) or end.code == STOPPED  # typer catches Ctrl-C, and says nothing
        if not stopped:
            raise
        print("hsimisr: stopped; no file is left half-written", file=sys.stderr)
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()

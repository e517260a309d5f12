"""The command line: one command a file, and one place where errors become one line and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from hsimisr.cli import evaluate, info, refine, register, simulate
from hsimisr.errors import HsimisrError

app = typer.Typer(
    name="hsimisr",
    help="Several shifted hyperspectral frames in, one sharper cube with error bars out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(info.info)
app.command()(simulate.simulate)
app.command()(register.register)
app.command()(refine.refine)
app.command()(evaluate.evaluate)


def main() -> None:
    """Run the command line; exit code 1 when the data or the request is at fault, 2 for wrong usage."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve other processes
    try:
        app()
    except HsimisrError as error:
        print(f"hsimisr: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""The commands of the command line, one file each."""

from __future__ import annotations

import typer

from hsimisr.cli import evaluate, info, refine, register, simulate, train

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
app.command()(train.train)

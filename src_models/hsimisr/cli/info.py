"""`hsimisr info`: what files hold, as the readers see them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hsimisr.errors import ReadError
from hsimisr.io.describe import describe, in_words
from hsimisr.io.open import open_readable
from hsimisr.io.plain_json import to_json


def info(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="files, folders, or file:array")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Tell what files hold: size, wavelengths, bad bands, nodata, place, and what the reader had to find out."""
    opened = list(open_readable(files))
    described = [describe(cube) for cube in opened if not isinstance(cube, ReadError)]
    failed = [error for error in opened if isinstance(error, ReadError)]
    if as_json:
        print(to_json(described))
    else:
        console = Console()
        for entry in described:
            console.print(_table(entry))
    for earlier in failed[:-1]:
        print(f"hsimisr: {earlier}", file=sys.stderr)
    if failed:
        raise failed[-1]


def _table(entry: dict[str, Any]) -> Table:
    table = Table(title=entry["file"], title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in in_words(entry):
        table.add_row(name, text)
    return table

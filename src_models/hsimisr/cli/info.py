"""`hsimisr info`: what files hold, as the readers see them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from hsimisr.cube import Cube
from hsimisr.errors import ReadError
from hsimisr.io.open import open_cubes, sources_of
from hsimisr.io.plain_json import to_json


def info(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="files, folders, or file:array")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Tell what files hold: size, wavelengths, bad bands, nodata, place, and what the reader had to find out."""
    failed: list[ReadError] = []
    described = [describe(cube) for file in files for cube in _cubes(file, failed)]
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


def _cubes(file: str, failed: list[ReadError]) -> Iterator[Cube]:
    """The cubes of a file or folder; what cannot be read goes to `failed` and hides no other."""
    try:
        sources = sources_of(file)
    except ReadError as error:
        failed.append(error)
        return
    for source in sources:
        try:
            yield from open_cubes([source])
        except ReadError as error:
            failed.append(error)


def describe(cube: Cube) -> dict[str, Any]:
    """A cube's metadata as plain values; lists of bands as ranges."""
    height, width = cube.shape_yx
    centres = cube.wavelengths
    finite = [] if centres is None else centres[np.isfinite(centres)].tolist()
    return {
        "file": str(cube.source),
        "bands": cube.bands,
        "height": height,
        "width": width,
        "dtype": str(cube.data.dtype),
        "wavelengths_nm": [min(finite), max(finite)] if finite else None,
        "fwhm_nm": None if cube.fwhm is None else [float(cube.fwhm.min()), float(cube.fwhm.max())],
        "bad_bands": np.flatnonzero(cube.bad).tolist(),
        "nodata": cube.nodata if cube.nodata is None or math.isfinite(cube.nodata) else str(cube.nodata),
        "scale_factor": cube.scale_factor,
        "crs": cube.crs,
        "transform": cube.transform,
        "provenance": "provenance" in cube.extra,
        "notes": list(cube.notes),
    }


def _table(entry: dict[str, Any]) -> Table:
    table = Table(title=entry["file"], title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("size", f"{entry['bands']} bands, {entry['height']} x {entry['width']} pixels, {entry['dtype']}")
    table.add_row("wavelengths", _range(entry["wavelengths_nm"]))
    table.add_row("band widths", _range(entry["fwhm_nm"]))
    table.add_row("bad bands", _runs(entry["bad_bands"]))
    table.add_row("nodata", "not stated" if entry["nodata"] is None else f"{float(entry['nodata']):g}")
    table.add_row("scale factor", f"{entry['scale_factor']:g}")
    table.add_row("coordinates", entry["crs"] or "not stated")
    if entry["transform"] is not None:
        x0, dx, _, y0, _, dy = entry["transform"]
        table.add_row("corner, pixel", f"({x0:.10g}, {y0:.10g}), {dx:g} x {dy:g}")
    for note in entry["notes"]:
        table.add_row("note", note)
    return table


def _range(values: list[float] | None) -> str:
    return "not stated" if values is None else f"{values[0]:.2f} to {values[1]:.2f} nm"


def _runs(bands: list[int]) -> str:
    """Band numbers with neighbours joined, such as ``3, 129-134``."""
    runs: list[list[int]] = []
    for band in bands:
        if runs and band == runs[-1][1] + 1:
            runs[-1][1] = band
        else:
            runs.append([band, band])
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"{len(bands)} ({text}, counted from 0)" if bands else "none"

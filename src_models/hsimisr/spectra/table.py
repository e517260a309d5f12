"""Spectra as a table of text: the first column wavelengths, every other column a spectrum."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hsimisr.cube import Vector
from hsimisr.errors import ReadError, WriteError
from hsimisr.io.wavelengths import to_nanometres
from hsimisr.spectra.library import SpectralLibrary

COMMENT = "#"
_UNIT = re.compile(r"(nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?|nm|um|µm|μm)(?![a-z])", re.IGNORECASE)


def read(path: Path) -> SpectralLibrary:
    """Read a table; lines that start with # are comments, empty cells have no value.

    The unit is taken from the heading of the first column, or else found by the size of the numbers. Columns are
    separated by comma, semicolon or tab; beside semicolons and tabs a comma is a decimal comma.

    Raises:
        ReadError: no wavelengths, no spectra, rows of different length, or text where a number is expected.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(COMMENT)]
    if not lines:
        raise ReadError(f"{path}: holds no table; the first column must be wavelengths, every other one a spectrum")
    separator = next((mark for mark in "\t;" if mark in lines[-1]), ",")  # names may hold one
    rows = [[cell.strip() for cell in row] for row in _split(path, lines, separator)]
    headings = None if _is_number(rows[0][0], separator) else rows.pop(0)
    width = len(rows[0]) if rows else 0
    if width < 2 or any(len(row) != width for row in rows) or (headings is not None and len(headings) != width):
        raise ReadError(
            f"{path}: its rows are not as long as each other, or hold a single column; "
            "the first column must be wavelengths, every other one a spectrum"
        )
    numbers = np.array([[_number(path, cell, separator) for cell in row] for row in rows])
    if np.isnan(numbers[:, 0]).any():
        raise ReadError(f"{path}: a wavelength is missing in the first column; correct the table")
    unit = _UNIT.search(headings[0]) if headings else None
    wavelengths, _, notes = to_nanometres(numbers[:, 0], unit.group(1) if unit else None)
    if wavelengths is None:
        raise ReadError(f"{path}: {'; '.join(notes)}; the first column must be wavelengths in nm or micrometres")
    names = (
        [" ".join(name.split()) for name in headings[1:]] if headings else [f"spectrum {n}" for n in range(1, width)]
    )
    return SpectralLibrary(tuple(names), wavelengths, numbers[:, 1:].T, str(path))


def write(path: Path, headings: Sequence[str], columns: Sequence[Vector], comments: Sequence[str] = ()) -> None:
    """Write columns of equal length below their headings and comments; NaN is an empty cell.

    Raises:
        WriteError: the file cannot be written.
    """
    out = io.StringIO()
    for comment in comments:
        out.write(f"{COMMENT} {comment}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings)
    for row in zip(*columns, strict=True):
        writer.writerow(["" if math.isnan(value) else f"{value:.9g}" for value in map(float, row)])
    try:
        path.write_text(out.getvalue(), encoding="utf-8")
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from error


def _split(path: Path, lines: list[str], separator: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
    except csv.Error as error:
        raise ReadError(f"{path}: is no table that can be read ({error}); save it as comma-separated text") from error


def _is_number(cell: str, separator: str) -> bool:
    try:
        float(_pointed(cell, separator))
    except ValueError:
        return False
    return True


def _number(path: Path, cell: str, separator: str) -> float:
    if not cell:
        return math.nan
    try:
        return float(_pointed(cell, separator))
    except ValueError as error:
        raise ReadError(f"{path}: {cell!r} is no number; correct the cell or leave it empty") from error


def _pointed(cell: str, separator: str) -> str:
    return cell if separator == "," else cell.replace(",", ".")

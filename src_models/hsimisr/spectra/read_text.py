"""One spectrum in a text file: USGS splib (05 to 07) and ASTER / ECOSTRESS, a header and columns of numbers.

The files of splib07 hold values alone; their wavelengths are a file of their own in the same folder or above it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hsimisr.cube import Vector
from hsimisr.errors import ReadError
from hsimisr.io.wavelengths import to_nanometres
from hsimisr.spectra.library import SpectralLibrary

DELETED = -1e30
"""Values below are no data: USGS writes -1.23e34."""
LEVELS = 3
"""How many folders are searched for the wavelengths of splib07: its own, and those above it."""
_UNIT = re.compile(r"\(\s*([^()]+?)\s*\)")
_SPECTROMETER = re.compile(r"wavelengths?_([A-Z0-9]+)", re.IGNORECASE)
_RECORD = re.compile(r"^\s*\S+\s+Record=\d+:\s*(?P<title>.+)$", re.IGNORECASE)


def read(path: Path) -> SpectralLibrary:
    """Read one spectrum; raises ReadError where the file holds none, or its wavelengths are not found."""
    header, columns = _parse(path)
    unit = None
    if columns.shape[1] == 1:
        values = columns[:, 0]
        positions = _wavelengths_beside(path, len(values))
    else:
        positions, values = columns[:, 0], columns[:, 1]
        keep = positions > 0  # some files of ASTER end in lines of zeros
        positions, values = positions[keep], values[keep]
        found = _UNIT.search(_field(header, "x units"))
        unit = found.group(1) if found else None
    wavelengths, _, notes = to_nanometres(positions, unit) if positions.size else (None, None, ("no wavelengths",))
    if wavelengths is None:
        raise ReadError(f"{path}: {'; '.join(notes)}; the first column must be wavelengths in nm or micrometres")
    values = np.where(values < DELETED, np.nan, values)
    return SpectralLibrary((_title(header) or path.stem,), wavelengths, values[None], str(path))


def _parse(path: Path) -> tuple[list[str], Vector]:
    """The lines of the header, and the numbers below it ``(b, columns)``."""
    lines = path.read_text(encoding="latin-1").splitlines()
    rows: list[list[float]] = []
    start = len(lines)
    for number, line in enumerate(lines):
        row = _row(line)
        if row:
            start = min(start, number)
            rows.append(row)
        elif line.strip() and rows:  # a line of the header that looked like numbers
            start, rows = len(lines), []
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) != 1:
        raise ReadError(
            f"{path}: holds no spectrum: expected are lines of numbers that all have as many columns, below a header; "
            "a table of several spectra has to be saved as .csv"
        )
    return lines[:start], np.array(rows)


def _row(line: str) -> list[float]:
    """The numbers of a line, or none where it holds anything else."""
    try:
        return [float(word) for word in line.replace(",", " ").split()]
    except ValueError:
        return []


def _title(header: list[str]) -> str:
    """What the spectrum is called: ASTER has a field for it, splib07 a record, splib05 and 06 the line below dashes."""
    named = _field(header, "name")
    if named:
        return named
    for line in header[:1]:
        record = _RECORD.match(line)
        if record is not None:
            return " ".join(record["title"].split())
    below = [line.strip() for line, above in zip(header[1:], header, strict=False) if set(above.strip()) == {"-"}]
    return " ".join(below[0].split()) if below else ""


def _field(header: list[str], key: str) -> str:
    for line in header:
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() == key:
            return value.strip()
    return ""


def _wavelengths_beside(path: Path, count: int) -> Vector:
    """The wavelengths of splib07 that belong to a file of `count` values: those of its spectrometer come first."""
    folders = [path.parent, *path.parent.parents][:LEVELS]
    files = [file for folder in folders for file in sorted(folder.glob("*[Ww]avelengths*.txt")) if file != path]
    fitting: list[tuple[bool, int, Vector]] = []
    for file in files:
        _, columns = _parse(file)
        if columns.shape == (count, 1):
            named = _SPECTROMETER.search(file.stem)
            related = named is not None and f"_{named.group(1)}".lower() in path.stem.lower()
            fitting.append((not related, len(fitting), columns[:, 0]))
    if not fitting:
        raise ReadError(
            f"{path}: holds values without wavelengths; put the file of {count} wavelengths of its spectrometer "
            "(splib07a_Wavelengths_….txt) into the same folder"
        )
    return min(fitting, key=lambda each: each[:2])[2]

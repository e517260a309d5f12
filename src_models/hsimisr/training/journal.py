"""The log of a run: a CSV file with a line every few steps."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """Means since the line before; gains are over the linear estimate, NaN where nothing was validated."""

    step: int
    seconds: float
    waited_seconds: float
    learning_rate: float
    loss: float
    training_gain_db: float
    validation_gain_db: float


class Journal:
    """Lines are added to a file; those after `step` are of a session that was not saved, and go."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        names = [field.name for field in fields(Line)]
        kept = []
        if path.exists() and step > 0:
            with path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.reader(file) if row[0].isdigit() and int(row[0]) <= step]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([names, *kept])

    def write(self, line: Line) -> None:
        """Add a line."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([value if isinstance(value, int) else f"{value:.6g}" for value in astuple(line)])

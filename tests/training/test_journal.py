"""The log keeps what belongs to the run that goes on."""

from __future__ import annotations

import csv
import math

from hsimisr.training.journal import Journal, Line


def line(step):
    return Line(step, 1.5, 0.5, 1e-3, -0.1, 0.4, math.nan)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_lines_after_the_step_that_was_saved_go(tmp_path):
    path = tmp_path / "log.csv"
    journal = Journal(path, 0)
    for step in (10, 20, 30):
        journal.write(line(step))
    assert [row["step"] for row in rows(path)] == ["10", "20", "30"]
    assert float(rows(path)[0]["training_gain_db"]) == 0.4
    again = Journal(path, 20)
    again.write(line(25))
    assert [row["step"] for row in rows(path)] == ["10", "20", "25"]


def test_a_new_run_starts_a_new_log(tmp_path):
    path = tmp_path / "log.csv"
    Journal(path, 0).write(line(10))
    Journal(path, 0)
    assert rows(path) == []

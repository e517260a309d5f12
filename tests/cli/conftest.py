"""The command line as a function."""

from __future__ import annotations

import sys

import pytest

from hsimisr.cli.app import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; gives exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hsimisr", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run

"""Where a report goes."""

from __future__ import annotations

from pathlib import Path

from hsimisr.errors import WriteError
from hsimisr.io.write import check_folder

SUFFIXES = (".html", ".htm")


def check_report_path(path: Path) -> None:
    """Raise WriteError where no report of that name can be made, before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        raise WriteError(f"{path}: a report is a page; give a name that ends in .html")
    check_folder(path)

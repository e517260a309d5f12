"""Small files that are there only when they are complete."""

from __future__ import annotations

from pathlib import Path

from hsimisr.errors import WriteError
from hsimisr.io.write import check_folder


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, in the place of an older one; raises WriteError where that cannot be."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in the place of an older one; raises WriteError where that cannot be."""
    check_folder(path)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = error.strerror or error
        raise WriteError(f"{path}: cannot be written ({reason}); check folder, permissions and free space") from error

"""What tells one cube from another, so that what was computed from it can be found again, and never from another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hsimisr.cube import Cube
from hsimisr.io.read_envi import find_data, find_header


def identity_of(cube: Cube) -> dict[str, Any]:
    """What tells a cube from another: its files and when they were written, or its array; and what counts as data."""
    valid = {"bad": cube.bad.astype(int).tolist(), "nodata": None if cube.nodata is None else repr(cube.nodata)}
    if cube.source is None:
        return {"array": cube.data.name, "shape": list(cube.data.shape), **valid}
    files = [path for path in _files(Path(cube.source.path)) if path.exists()]
    written = {str(path): [path.stat().st_mtime_ns, path.stat().st_size] for path in files}
    return {"source": asdict(cube.source), "files": written, **valid}


def _files(path: Path) -> list[Path]:
    """The files that hold a cube: an ENVI header goes with its data, a Zarr store is a folder."""
    if path.is_dir():
        return sorted(part for part in path.rglob("*") if part.is_file())
    partners = (find_header(path), find_data(path) if path.suffix.lower() == ".hdr" else None)
    return sorted({path, *(partner for partner in partners if partner is not None)})

"""napari reader: hyperspectral files as lazy frame layers; other images are left to other readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hsimisr.errors import HsimisrError
from hsimisr.io.open import open_cubes
from napari_hsimisr.layers import LayerData, frame_layers

Paths = str | list[str]
OURS = (".hdr", ".bsq", ".bil", ".bip", ".he5", ".mat", ".nc")
"""Suffixes of hyperspectral files; anything else may be an ordinary picture or table."""


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """A reader for one path or several, or None where one of them holds no cube with several bands."""
    paths = [path] if isinstance(path, str) else list(path)
    if all(Path(each).suffix.lower() in OURS for each in paths):
        return read
    try:
        cubes = open_cubes(paths)
    except HsimisrError:  # not for us: napari goes on to the next reader
        return None
    if any(cube.bands == 1 for cube in cubes):
        return None
    return lambda _paths: frame_layers(cubes)


def read(path: Paths) -> list[LayerData]:
    """One layer per frame; raises ReadError that names the file."""
    return frame_layers(open_cubes([path] if isinstance(path, str) else list(path)))

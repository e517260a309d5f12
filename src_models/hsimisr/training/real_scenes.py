"""Real scenes to train on: parts of the cubes in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError, ReadError
from hsimisr.io.open import open_cube, sources_of

Cube = npt.NDArray[np.float32]
MIRRORED = 0.2
"""How far beyond its edges a scene may be mirrored, as a part of its size: for the ground that only margins show."""


def matching(folder: Path | None, patterns: Sequence[str]) -> tuple[Path, ...]:
    """Cubes in a folder whose file stems fit any of the patterns, by name.

    Raises:
        ConfigError: there is no folder, or a pattern fits no file.
        ReadError: the folder holds no cube.
    """
    if not patterns:
        return ()
    if folder is None or not folder.is_dir():
        raise ConfigError(f"this recipe needs cubes, and {folder or 'no folder'} is none that holds them; give --data")
    files = [Path(source.path) for source in sources_of(folder)]
    found: set[Path] = set()
    for pattern in patterns:
        fitting = {path for path in files if fnmatch(path.stem, pattern)}
        if not fitting:
            raise ConfigError(f"{folder}: no cube is called {pattern}; give the folder that holds it with --data")
        found |= fitting
    return tuple(sorted(found))


def largest_side(path: Path) -> int:
    """Pixels that a square part of a scene may be wide."""
    return int(min(good_bands(path).shape[1:]) * (1 + 2 * MIRRORED))


def cut(path: Path, side: int, bands: tuple[int, int], rng: np.random.Generator) -> Cube:
    """A square part ``(B, side, side)`` of a scene: neighbouring bands, at a random place, turned or mirrored."""
    scene = good_bands(path)
    count = min(int(rng.integers(bands[0], bands[1] + 1)), len(scene))
    first = int(rng.integers(0, len(scene) - count + 1))
    part = scene[first : first + count]
    for axis in (1, 2):
        size = part.shape[axis]
        start = int(rng.integers(min(size - side, 0), max(size - side, 0) + 1))
        part = np.take(part, _mirrored(np.arange(start, start + side), size), axis)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.ascontiguousarray(np.rot90(part, int(rng.integers(4)), (1, 2)))


@lru_cache(maxsize=64)
def good_bands(path: Path) -> Cube:
    """The bands ``(B, Y, X)`` of a cube that are good and hold a value everywhere.

    Raises:
        ReadError: there is none.
    """
    cube = open_cube(path)
    values = cube.read()[cube.good]
    values = values[np.isfinite(values).all((1, 2)) & (np.ptp(values, (1, 2)) > 0)]
    if not len(values):
        raise ReadError(f"{path}: no band has values everywhere; cut out a part that is covered")
    return np.asarray(values, dtype=np.float32)


def _mirrored(index: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.intp]:
    """Indices beyond either end turned back into the scene; the samples at the ends are not repeated."""
    index = np.abs(index)
    return np.where(index >= size, 2 * (size - 1) - index, index)

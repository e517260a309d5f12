"""A result as files: the cube with its error bars, and the JSON beside it, as command line and window write them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube, FrameStack
from hsimisr.io.plain_json import to_json
from hsimisr.io.whole_file import write_text
from hsimisr.io.write import write_cube
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.export import determined_map, refined_cube, uncertainty_cube
from hsimisr.pipeline.provenance import provenance_of
from hsimisr.pipeline.tiled_result import TiledResult

Watch = Callable[[int, int], None]
"""Told how many blocks of how many are done, on any thread; may raise to stop, and then nothing is written."""


@dataclass(frozen=True)
class Contents:
    """What goes into the files beside the cube itself.

    Attributes:
        std: the standard deviation, where the method gives one.
        determined: the map of what is measured, not inferred, where the method knows it.
        good_bands_only: leave out bad bands, which are all NaN; else they keep their places.
    """

    std: bool = True
    determined: bool = True
    good_bands_only: bool = False


@dataclass(frozen=True, eq=False)
class Saved:
    """What was written, and what the files say of how it was made."""

    files: list[Path]
    provenance: dict[str, Any]


def sidecar_of(out: Path) -> Path:
    """The JSON that goes with a refined cube."""
    return out.with_name(f"{out.name}.json")


def save_result(
    out: Path,
    result: Result | TiledResult,
    stack: FrameStack,
    seed: int = 0,
    contents: Contents = Contents(),
    target: Cube | None = None,
    watch: Watch | None = None,
) -> Saved:
    """Write the refined cube in the format that the suffix names, and its sidecar; nothing is left half-written.

    Args:
        stack: the frames that the result was made from, as they were given to the run.
        target: a truth on the grid of the result, to compare with.

    Raises:
        WriteError: the result rests on a provisional scene model, or the format or the folder does not do.
    """
    reference = stack.reference_frame
    cube = refined_cube(result, reference)
    std = uncertainty_cube(result, reference) if contents.std else None
    provenance = provenance_of(result, stack, seed)
    if target is not None:
        from hsimisr import metrics  # only when asked: it loads scipy

        provenance["metrics"] = metrics.evaluate(target.read(), cube.read(), result.scene.scale).summary()
    if contents.good_bands_only:
        cube, std = cube.good_bands(), None if std is None else std.good_bands()
    if watch is not None:
        cube, std = _watched(watch, cube, std)
    determined = determined_map(result) if contents.determined else None
    files = write_cube(out, cube, std, provenance, determined)
    write_text(sidecar_of(out), to_json(provenance))
    return Saved([*files, sidecar_of(out)], provenance)


def _watched(watch: Watch, cube: Cube, std: Cube | None) -> tuple[Cube, Cube | None]:
    """The same cubes, whose blocks are counted as they are worked out."""
    total = cube.data.npartitions + (0 if std is None else std.data.npartitions)
    done, lock = 0, threading.Lock()

    def count(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        nonlocal done
        with lock:
            done += 1
            watch(done, total)
        return block

    def counted(image: Cube) -> Cube:
        data = da.map_blocks(count, image.data, dtype=image.data.dtype, meta=np.empty((0, 0, 0), image.data.dtype))
        return replace(image, data=data)

    return counted(cube), None if std is None else counted(std)

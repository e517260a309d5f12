"""Values of lazy arrays, worked out on threads of this process.

dask's own callbacks are global, and napari's fail when two threads compute at once: none are called here.
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt


def values(array: da.Array) -> npt.NDArray[Any]:
    """All of a lazy array, in memory."""
    return np.asarray(array.compute(callbacks=(), scheduler="threads"))


def store(array: da.Array, target: Any, *, lock: bool = False) -> None:
    """Write a lazy array block by block into anything that takes slices; `lock` where only one may write at a time."""
    da.store(array, target, lock=lock, callbacks=(), scheduler="threads")

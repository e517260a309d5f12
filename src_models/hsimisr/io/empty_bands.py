"""Bands that hold nothing but nodata, NaN or zeros, found from a sample of the image."""

from __future__ import annotations

from itertools import product

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.base import compute

WINDOW = 64  # side of a sampled window, pixels
HERE = {"scheduler": "threads", "callbacks": ()}
"""Even in a worker of a cluster, whose tasks would else go through its scheduler; without dask's callbacks, which are
global: napari's fail when two threads read."""

Mask = npt.NDArray[np.bool_]


def empty_bands(data: da.Array, nodata: float | None) -> Mask:
    """Which bands ``(band,)`` of a cube ``(band, y, x)`` are empty; all True when the cube holds nothing.

    Small images are read whole. Of large ones five windows are read: a band that is empty in all of them, where
    others are not, counts as empty. Only if the windows hold nothing at all, the image is searched on.
    """
    height, width = data.shape[1:]
    if height * width <= 5 * WINDOW**2:
        return _empty(np.asarray(data.compute(**HERE)), nodata)
    centres = [(0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]
    windows = [data[:, _window(y, height), _window(x, width)] for y, x in centres]
    empty = np.logical_and.reduce([_empty(np.asarray(w), nodata) for w in compute(*windows, **HERE)])
    if not empty.all():
        return np.asarray(empty)
    rows, columns = data.numblocks[1:]
    for row, column in product(range(rows), range(columns)):
        empty = _empty(np.asarray(data.blocks[:, row, column].compute(**HERE)), nodata)
        if not empty.all():
            break
    return np.asarray(empty)


def _window(fraction: float, size: int) -> slice:
    start = max(int(fraction * size) - WINDOW // 2, 0)
    return slice(start, start + WINDOW)


def _empty(values: npt.NDArray[np.generic], nodata: float | None) -> Mask:
    used = (values != 0) & np.isfinite(values)
    if nodata is not None and not np.isnan(nodata):
        used &= values != nodata
    return np.asarray(~used.reshape(len(values), -1).any(axis=1))

"""A result as cubes to be saved: refined bands and error bars, lazily expanded, with the reference's metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dask.array as da
import numpy as np

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.geometry import rescaled_transform
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.events import Result

BANDS_PER_BLOCK = 16
Expand = Callable[[slice], Float32]


def refined_cube(result: Result, reference: Cube) -> Cube:
    """The refined cube with the reference's wavelengths, bad bands and coordinates, on the finer grid.

    Raises:
        WriteError: the scene model was estimated from the surroundings of a view alone.
    """
    if result.scene.provisional:
        raise WriteError(
            "this result rests on a provisional scene model, estimated around one view; "
            "refine a region or the whole cube before exporting it"
        )
    return _on_finer_grid(result.estimate, reference, result.estimate.bands, "refined")


def uncertainty_cube(result: Result, reference: Cube) -> Cube | None:
    """The standard deviation of the refined cube, or None where the method gives none."""
    if result.estimate.variance is None:
        return None
    return _on_finer_grid(result.estimate, reference, result.estimate.std, "std")


def _on_finer_grid(estimate: Estimate, reference: Cube, expand: Expand, name: str) -> Cube:
    grid, bands = estimate.grid, reference.bands
    starts = range(0, bands, BANDS_PER_BLOCK)
    chunks = tuple(min(BANDS_PER_BLOCK, bands - start) for start in starts)

    def block(block_info: dict[None, dict[str, list[tuple[int, int]]]] | None = None) -> Float32:
        assert block_info is not None
        start, stop = block_info[None]["array-location"][0]
        return expand(slice(start, stop))

    shape = (chunks, (grid.shape[0],), (grid.shape[1],))
    data = da.map_blocks(block, chunks=shape, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    footprint = reference.crop(grid.view)
    transform = rescaled_transform(footprint.transform, grid.scale)
    return replace(
        footprint, data=data, bad=estimate.subspace.bad, nodata=None, transform=transform, name=name, source=None
    )

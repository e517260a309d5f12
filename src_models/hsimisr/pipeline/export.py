"""A result as cubes to be saved: refined bands and error bars, lazily expanded, with the reference's metadata."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import dask.array as da
import numpy as np

from hsimisr.cube import Cube
from hsimisr.diffusion.config import SAMPLE
from hsimisr.errors import WriteError
from hsimisr.geometry import Grid, View, rescaled_transform
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.tiled_result import TiledResult
from hsimisr.pipeline.tiles import place

REFINED, REFINED_SAMPLE = "refined", "refined sample"
BANDS_PER_BLOCK = 16
FILE_CHUNK = 64
BLOCK = 128
"""Blocks of a tiled result are whole chunks of the files that have chunks, and about this large a side, HR pixels."""

Expand = Callable[[View, slice], Float32]
Chunks = tuple[int, ...]


def refined_cube(result: Result | TiledResult, reference: Cube) -> Cube:
    """The refined cube with the reference's wavelengths, bad bands and coordinates, on the finer grid.

    Raises:
        WriteError: the scene model was estimated from the surroundings of a view alone.
    """
    if result.scene.provisional:
        raise WriteError(
            "this result rests on a provisional scene model, estimated around one view; "
            "refine a region or the whole cube before exporting it"
        )
    if isinstance(result, TiledResult):
        return _from_tiles(result, reference, Estimate.bands, product_of(result.config))
    return _from_memory(result.estimate, reference, result.estimate.bands, product_of(result.config))


def product_of(config: PipelineConfig) -> str:
    """What a run made: the refined cube for measurement, or one sample of the scenes that agree with the frames."""
    method = config.diffuse
    is_sample = not isinstance(method, NoStage) and method.steps > 0 and method.product == SAMPLE
    return REFINED_SAMPLE if is_sample else REFINED


def uncertainty_cube(result: Result | TiledResult, reference: Cube) -> Cube | None:
    """The standard deviation of the refined cube, or None where the method gives none."""
    if isinstance(result, TiledResult):
        return _from_tiles(result, reference, Estimate.std, "std") if result.has_variance else None
    if result.estimate.variance is None:
        return None
    return _from_memory(result.estimate, reference, result.estimate.std, "std")


def determined_map(result: Result | TiledResult) -> Float32 | None:
    """`Estimate.determined` of the view ``(h, w)``, or None where the method does not know it."""
    return result.determined() if isinstance(result, TiledResult) else result.estimate.determined


def _from_memory(estimate: Estimate, reference: Cube, expand: Callable[[slice], Float32], name: str) -> Cube:
    grid = estimate.grid
    chunks = _cut(reference.bands, BANDS_PER_BLOCK), (grid.shape[0],), (grid.shape[1],)
    return _on_finer_grid(grid, chunks, lambda _, bands: expand(bands), estimate.subspace.bad, reference, name)


def _from_tiles(result: TiledResult, reference: Cube, expand: Callable[[Estimate], Float32], name: str) -> Cube:
    """Blocks that read and blend the tiles they need, so that none needs more memory than a few tiles."""
    grid = result.grid
    step = math.lcm(FILE_CHUNK, grid.scale)
    side = step * max(BLOCK // step, 1)
    chunks = _cut(reference.bands, FILE_CHUNK), _cut(grid.shape[0], side), _cut(grid.shape[1], side)

    def block(area: View, bands: slice) -> Float32:
        y1, x1 = min(area.y1 + 1, grid.view.y1), min(area.x1 + 1, grid.view.x1)
        around = View(max(area.y0 - 1, grid.view.y0), y1, max(area.x0 - 1, grid.view.x0), x1)  # for interpolation
        return expand(result.part(around, bands))[:, *place(area, around, grid.scale)]

    return _on_finer_grid(grid, chunks, block, result.scene.subspace.bad, reference, name)


def _on_finer_grid(
    grid: Grid,
    chunks: tuple[Chunks, Chunks, Chunks],
    expand: Expand,
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]],
    reference: Cube,
    name: str,
) -> Cube:
    def block(block_info: dict[None, dict[str, list[tuple[int, int]]]] | None = None) -> Float32:
        assert block_info is not None
        (start, stop), *place_yx = block_info[None]["array-location"]
        (y0, y1), (x0, x1) = (
            (origin + a // grid.scale, origin + b // grid.scale)
            for origin, (a, b) in zip(grid.origin_yx, place_yx, strict=True)
        )
        return expand(View(y0, y1, x0, x1), slice(start, stop))

    data = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    footprint = reference.crop(grid.view)
    transform = rescaled_transform(footprint.transform, grid.scale)
    return replace(footprint, data=data, bad=bad, nodata=None, transform=transform, name=name, source=None)


def _cut(size: int, step: int) -> Chunks:
    return tuple(min(step, size - start) for start in range(0, size, step))

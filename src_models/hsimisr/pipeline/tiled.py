"""Refinement of views that are limited by disk, not by memory: each tile is written as it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.physics.types import Registration, SceneModel
from hsimisr.pipeline.calibration import calibrated
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory
from hsimisr.pipeline.learned import learned_stage
from hsimisr.pipeline.memory import tile_side
from hsimisr.pipeline.reconstruct import check_measured, with_smaller_tiles
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.tile_file import measured_anywhere, read_spread
from hsimisr.pipeline.tile_job import TileJob
from hsimisr.pipeline.tile_store import TileStore
from hsimisr.pipeline.tiled_result import TiledResult, with_variance

if TYPE_CHECKING:
    from hsimisr.pipeline.workers import Workers

TILES_EACH = 3
SMALLEST_SHARED = 64
"""Tiles that every worker should get, so that none waits long for the others, as long as tiles keep this side."""


def refine_tiled(
    stack: FrameStack,
    config: PipelineConfig,
    store: TileStore,
    context: Context,
    registration: Registration | None = None,
    workers: Workers | None = None,
) -> TiledResult:
    """Super-resolve the view of a store; tiles and scene model that are in the store are not made again.

    Args:
        registration: motion to use as it is, or None to estimate it.
        workers: processes that share the tiles; None makes one after another in this process.

    Raises:
        HsimisrError: bad data or knobs, workers that cannot do it, or `Cancelled`.
    """
    begin = time.perf_counter()
    if workers is not None:
        workers.check(stack, store.folder)
    scene = store.scene
    if scene is None:
        scene = estimate_scene(stack, config, context, known=registration)
        scene = calibrated(stack, scene, config, context)
        store.keep_scene(scene)
    registered = time.perf_counter()
    stage = learned_stage(stack, scene, store.view, config, context)
    refinement = None if stage is None else stage.refinement.on(torch.device("cpu"))
    job = TileJob(scene, config.invert, with_variance(config), config.subspace.residual, refinement)

    def by_tiles(side: int) -> dict[View, Path]:
        tiles = store.cut(side)
        missing = {tile: path for tile, path in tiles.items() if not path.exists()}
        if workers is None:
            made = _one_by_one(job, stack, missing, context)
        else:
            made = workers.make(job, stack, missing, context.check)
        done = len(tiles) - len(missing)
        context.progress("invert", done, len(tiles), config.invert.method)
        for n, _ in enumerate(made, start=1):
            context.progress("invert", done + n, len(tiles), config.invert.method)
        return tiles

    side = store.side or _side(stack, scene, store.view, context, workers, job.refinement is not None)
    tiles = with_smaller_tiles(by_tiles, side, store.view, scene, context)
    check_measured(any(measured_anywhere(path) for path in tiles.values()), store.view)
    spreads = [spread for path in tiles.values() if (spread := read_spread(path)) is not None]
    timings = {"register_s": registered - begin, "invert_s": time.perf_counter() - registered}
    diagnostics = {
        "timings": {name: round(seconds, 4) for name, seconds in timings.items()},
        "device": str(context.device) if workers is None else f"{workers.slots} workers, {workers.device}",
        "rank": scene.subspace.rank,
        "frames_used": len(scene.registration.included),
        "view": str(store.view),
    }
    if stage is not None:
        diagnostics["learned"] = stage.diagnostics()
    spread = np.mean(spreads, axis=0) if spreads else None
    return TiledResult(store.view, tiles, scene, config, spread, diagnostics)


def _one_by_one(job: TileJob, stack: FrameStack, missing: dict[View, Path], context: Context) -> Iterator[View]:
    for tile, path in missing.items():
        job.make(stack, tile, path, context.device, lambda _: context.check())
        yield tile


def _side(
    stack: FrameStack, scene: SceneModel, view: View, context: Context, workers: Workers | None, learned: bool
) -> int:
    """Side of the tiles, LR pixels: as large as memory allows, small enough that there is work for everyone."""
    free = free_memory(context.device) if workers is None else workers.memory
    frames, rank = len(scene.registration.included), scene.subspace.rank
    side = tile_side(view, frames, stack.bands, rank, scene.scale, free, learned)
    if workers is None:
        return side
    even = int(np.sqrt(view.shape[0] * view.shape[1] / (TILES_EACH * workers.slots)))
    return min(side, max(even, SMALLEST_SHARED))

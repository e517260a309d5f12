"""Reconstruction of a view under a scene model, tile by tile."""

from __future__ import annotations

import numpy as np
import torch

from hsimisr.cube import FrameStack
from hsimisr.errors import MemoryLimitError, StackError
from hsimisr.geometry import Grid, View
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.inversion.invert import MARGIN, FrameWindow, invert
from hsimisr.inversion.residual import out_of_subspace
from hsimisr.physics.types import Estimate, SceneModel
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory, is_out_of_memory
from hsimisr.pipeline.frames import read_window, seen_by_any
from hsimisr.pipeline.memory import check_result, tile_side
from hsimisr.pipeline.tiles import SMALLEST, blend_weight, tiles_of


def reconstruct(
    stack: FrameStack,
    scene: SceneModel,
    view: View,
    config: InvertConfig,
    context: Context,
    with_variance: bool = True,
    with_residual: bool = True,
) -> Estimate:
    """The estimate of a view. A device that runs out of memory is tried once more with tiles of half the side.

    Raises:
        MemoryLimitError: the view does not fit into memory, estimated before or found out.
    """
    free = free_memory(context.device)
    check_result(view, stack.bands, scene.subspace.rank, scene.scale, free)
    frames, rank = len(scene.registration.included), scene.subspace.rank
    side = tile_side(view, frames, stack.bands, rank, scene.scale, free)
    for tries_left, size in ((1, side), (0, max(SMALLEST, side // 2))):
        try:
            return _by_tiles(stack, scene, view, config, context, with_variance, with_residual, size)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # only here the failed try's arrays are gone: an exception keeps them alive
        if context.device.type == "cuda":
            torch.cuda.empty_cache()
        if tries_left:
            context.progress("invert", 0, 1, f"out of memory, again with tiles of {size // 2} pixels")
    raise MemoryLimitError(
        f"out of memory on {context.device} even with tiles of {size} LR pixels (view {view}, {frames} frames, "
        f"rank {rank}, scale {scene.scale}); choose a smaller view, fewer frames or a lower subspace.rank"
    )


def _by_tiles(
    stack: FrameStack,
    scene: SceneModel,
    view: View,
    config: InvertConfig,
    context: Context,
    with_variance: bool,
    with_residual: bool,
    side: int,
) -> Estimate:
    grid = Grid.of_view(view, scene.scale)
    rank, scale = scene.subspace.rank, scene.scale
    mean = np.zeros((rank, *grid.shape), np.float32)
    variance = np.zeros_like(mean)
    residual = np.zeros((stack.bands, *view.shape), np.float32) if with_residual else None
    spread = np.zeros(stack.bands)
    has_variance = with_variance and isinstance(config, LmmseConfig)
    measured = np.zeros(view.shape, bool)
    tiles = tiles_of(view, side)
    for n, tile in enumerate(tiles):
        context.progress("invert", n, len(tiles), config.method)
        window = read_window(stack, scene.subspace.bad, tile, MARGIN, scene.registration)
        eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
        image, tile_variance = invert(
            eigen, scene, tile, config, context.device, has_variance, lambda _: context.check()
        )
        lr = slice(tile.y0 - view.y0, tile.y1 - view.y0), slice(tile.x0 - view.x0, tile.x1 - view.x0)
        measured[lr] |= seen_by_any(window, scene.registration, tile)
        fade = blend_weight(tile, view, scale)
        hr = tuple(
            slice((a - o) * scale, (b - o) * scale)
            for a, b, o in ((tile.y0, tile.y1, view.y0), (tile.x0, tile.x1, view.x0))
        )
        mean[(slice(None), *hr)] += image * fade
        if has_variance and tile_variance is not None:
            variance[(slice(None), *hr)] += tile_variance * fade
        if residual is not None:
            rest, tile_spread = out_of_subspace(
                window.cubes, window.masks, window.starts, scene.registration, scene.subspace, tile
            )
            residual[(slice(None), *lr)] += rest * blend_weight(tile, view, 1)
            spread += tile_spread / len(tiles)
    if not measured.any():
        raise StackError(f"no frame holds a valid pixel in {view}; choose another view")
    return Estimate(
        mean=mean,
        subspace=scene.subspace,
        grid=grid,
        variance=variance if has_variance else None,
        residual=residual,
        residual_variance=spread if residual is not None else None,
        measured=None if measured.all() else measured,
        method=config.method,
    )

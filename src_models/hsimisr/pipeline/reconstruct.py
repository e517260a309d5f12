"""Reconstruction of a view under a scene model, tile by tile."""

from __future__ import annotations

import numpy as np
import torch

from hsimisr.cube import FrameStack
from hsimisr.errors import StackError
from hsimisr.geometry import Grid, View
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.inversion.invert import MARGIN, FrameWindow, invert
from hsimisr.inversion.residual import out_of_subspace
from hsimisr.physics.types import Estimate, SceneModel
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory, is_out_of_memory
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.memory import tile_side
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
    """The estimate of a view. A device that runs out of memory is retried with tiles of half the side."""
    frames, rank = len(scene.registration.included), scene.subspace.rank
    side = tile_side(view, frames, stack.bands, rank, scene.scale, free_memory(context.device))
    try:
        return _by_tiles(stack, scene, view, config, context, with_variance, with_residual, side)
    except (MemoryError, RuntimeError) as error:
        if side <= SMALLEST or not is_out_of_memory(error):
            raise
        if context.device.type == "cuda":
            torch.cuda.empty_cache()
        context.progress("invert", 0, 1, f"out of memory, again with tiles of {side // 2} pixels")
        return _by_tiles(stack, scene, view, config, context, with_variance, with_residual, max(SMALLEST, side // 2))


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
    measured = False
    tiles = tiles_of(view, side)
    for n, tile in enumerate(tiles):
        context.progress("invert", n, len(tiles), config.method)
        window = read_window(stack, scene.subspace.bad, tile, MARGIN, scene.registration)
        measured = measured or any(window.masks[k].any() for k in scene.registration.included)
        eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
        image, tile_variance = invert(eigen, scene, tile, config, context.device, lambda _: context.check())
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
            lr = slice(tile.y0 - view.y0, tile.y1 - view.y0), slice(tile.x0 - view.x0, tile.x1 - view.x0)
            residual[(slice(None), *lr)] += rest * blend_weight(tile, view, 1)
            spread += tile_spread / len(tiles)
    if not measured:
        raise StackError(f"no frame holds a valid pixel in {view}; choose another view")
    return Estimate(
        mean=mean,
        subspace=scene.subspace,
        grid=grid,
        variance=variance if has_variance else None,
        residual=residual,
        residual_variance=spread if residual is not None else None,
        method=config.method,
    )

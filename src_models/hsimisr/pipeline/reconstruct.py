"""Reconstruction of a view under a scene model, tile by tile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from hsimisr.cube import FrameStack
from hsimisr.errors import MemoryLimitError, StackError
from hsimisr.geometry import MARGIN, Grid, View
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.inversion.invert import FrameWindow, OnStep, invert
from hsimisr.inversion.residual import out_of_subspace
from hsimisr.physics.types import Estimate, SceneModel
from hsimisr.pipeline.blend import blend
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory, is_out_of_memory
from hsimisr.pipeline.events import Preview
from hsimisr.pipeline.frames import read_window, seen_by_any
from hsimisr.pipeline.memory import check_result, tile_side
from hsimisr.pipeline.refinement import Refinement, prepare, refine_tile
from hsimisr.pipeline.stages import OnImage
from hsimisr.pipeline.tiles import SMALLEST, tiles_of

PREVIEW_S = 0.5
"""Seconds between two previews of a learned stage."""
T = TypeVar("T")


def reconstruct(
    stack: FrameStack,
    scene: SceneModel,
    view: View,
    config: InvertConfig,
    context: Context,
    with_variance: bool = True,
    with_residual: bool = True,
    refinement: Refinement | None = None,
) -> Estimate:
    """The estimate of a view. A device that runs out of memory is tried once more with tiles of half the side.

    Raises:
        MemoryLimitError: the view does not fit into memory, estimated before or found out.
    """
    free = free_memory(context.device)
    check_result(view, stack.bands, scene.subspace.rank, scene.scale, free)
    frames, rank = len(scene.registration.included), scene.subspace.rank
    side = tile_side(view, frames, stack.bands, rank, scene.scale, free, refinement is not None)

    def by_tiles(size: int) -> Estimate:
        return _by_tiles(stack, scene, view, config, context, with_variance, with_residual, size, refinement)

    return with_smaller_tiles(by_tiles, side, view, scene, context)


def with_smaller_tiles(attempt: Callable[[int], T], side: int, view: View, scene: SceneModel, context: Context) -> T:
    """Call `attempt` with a tile side, and once more with half of it where memory runs out.

    Raises:
        MemoryLimitError: memory ran out both times.
    """
    for tries_left, size in ((1, side), (0, max(SMALLEST, side // 2))):
        try:
            return attempt(size)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # only here the failed try's arrays are gone: an exception keeps them alive
        if context.device.type == "cuda":
            torch.cuda.empty_cache()
        if tries_left:
            context.progress("invert", 0, 1, f"out of memory, again with tiles of {size // 2} pixels")
    raise MemoryLimitError(
        f"out of memory on {context.device} even with tiles of {size} LR pixels (view {view}, "
        f"{len(scene.registration.included)} frames, rank {scene.subspace.rank}, scale {scene.scale}); "
        "choose a smaller view, fewer frames or a lower subspace.rank"
    )


def invert_tile(
    stack: FrameStack,
    scene: SceneModel,
    tile: View,
    config: InvertConfig,
    device: torch.device,
    with_variance: bool,
    with_residual: bool,
    on_step: OnStep,
    refinement: Refinement | None = None,
    on_image: OnImage = lambda _: None,
) -> Estimate:
    """The estimate of one tile, from the part of the frames that shows it.

    Args:
        on_step: called before each iteration; may raise to stop.
        refinement: the learned stages that follow, if any.
        on_image: told the eigen-images of the tile after each step of those.
    """
    window = read_window(stack, scene.subspace.bad, tile, MARGIN, scene.registration)
    eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
    has_variance = with_variance and isinstance(config, LmmseConfig)
    variance = learned = determined = None
    if refinement is None:
        image, posterior = invert(eigen, scene, tile, config, device, has_variance, on_step)
        if posterior is not None:
            variance, determined = posterior.variance, posterior.determined
    else:
        prepared = refinement.prepared.get(tile)
        if prepared is None:
            prepared = prepare(eigen, scene, tile, config, refinement.held_out, device, on_step)
        refined = refine_tile(prepared, refinement, on_step, on_image)
        image, variance = refined.mean, refined.variance
        learned, determined = refined.learned, refined.determined
    residual = spread = None
    if with_residual:
        residual, spread = out_of_subspace(
            window.cubes, window.masks, window.starts, scene.registration, scene.subspace, tile
        )
    return Estimate(
        mean=image,
        subspace=scene.subspace,
        grid=Grid.of_view(tile, scene.scale),
        variance=variance if has_variance else None,
        residual=residual,
        residual_variance=spread,
        measured=seen_by_any(window, scene.registration, tile),
        learned=learned,
        determined=determined if has_variance else None,
        method=config.method if refinement is None else refinement.method,
    )


def check_measured(anywhere: bool, view: View) -> None:
    """Raise StackError where no frame holds anything of a view."""
    if not anywhere:
        raise StackError(f"no frame holds a valid pixel in {view}; choose another view")


def _by_tiles(
    stack: FrameStack,
    scene: SceneModel,
    view: View,
    config: InvertConfig,
    context: Context,
    with_variance: bool,
    with_residual: bool,
    side: int,
    refinement: Refinement | None = None,
) -> Estimate:
    tiles = tiles_of(view, side)
    shown = time.perf_counter()

    def show(image: torch.Tensor) -> None:
        """A preview now and then, where one tile is all there is."""
        nonlocal shown
        if len(tiles) == 1 and time.perf_counter() - shown > PREVIEW_S:
            shown = time.perf_counter()
            mean, grid = image.cpu().numpy(), Grid.of_view(view, scene.scale)
            context.sink(Preview(context.job, "refine", Estimate(mean=mean, subspace=scene.subspace, grid=grid)))

    def inverted() -> Iterator[tuple[View, Estimate]]:
        for n, tile in enumerate(tiles):
            method = config.method if refinement is None else refinement.method
            context.progress("invert" if refinement is None else "refine", n, len(tiles), method)
            estimate = invert_tile(
                stack,
                scene,
                tile,
                config,
                context.device,
                with_variance,
                with_residual,
                lambda _: context.check(),
                refinement,
                show,
            )
            yield tile, estimate

    estimate = blend(inverted(), view, view)
    check_measured(estimate.measured is None or bool(estimate.measured.any()), view)
    return estimate

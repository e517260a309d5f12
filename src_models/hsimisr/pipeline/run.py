"""Carry out a job: open the frames, estimate the scene, reconstruct the view, and tell every step as events."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hsimisr import errors
from hsimisr.cube import Cube, CubeSource, FrameStack
from hsimisr.geometry import Grid, View
from hsimisr.inversion.config import BicubicConfig, LmmseConfig
from hsimisr.io.open import open_cube
from hsimisr.physics.types import Estimate, Float32, Registration, SceneModel
from hsimisr.pipeline.calibration import calibrated
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.pipeline.context import Cancel, Context
from hsimisr.pipeline.device import choose_device, is_out_of_memory
from hsimisr.pipeline.events import Cancelled, Event, Failed, Finished, Preview, Result, Sink
from hsimisr.pipeline.job import Job
from hsimisr.pipeline.learned import learned_stage
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.scene_cache import SceneCache


def run(job: Job, sink: Sink, cancel: Cancel, cache: SceneCache | None = None) -> None:
    """Carry out a job in this process.

    One terminal event is the last thing that `sink` is told; only a bug raises instead.
    """
    reached: list[Estimate] = []

    def watch(event: Event) -> None:
        if isinstance(event, Preview):
            reached[:] = [event.estimate]
        sink(event)

    try:
        context = Context(job.number, choose_device(job.device), job.seed, watch, cancel)
        stack = open_stack(job.frames, job.reference)
        result = refine(
            stack,
            job.config,
            view=job.view,
            registration=job.registration,
            start=job.start,
            provisional=job.kind == "view",
            context=context,
            cache=cache,
        )
    except errors.Cancelled:
        sink(Cancelled(job.number, reached[0] if reached else None))
    except errors.HsimisrError as error:
        sink(Failed(job.number, str(error)))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sink(Failed(job.number, f"out of memory: {error}", "choose a smaller view, fewer frames or a lower rank"))
    else:
        sink(Finished(job.number, result))


def open_stack(frames: Sequence[Cube | CubeSource], reference: int = 0) -> FrameStack:
    """Frames of a job as a stack; sources are opened."""
    cubes = tuple(open_cube(frame) if isinstance(frame, CubeSource) else frame for frame in frames)
    return FrameStack(cubes, reference)


def quiet_context(device: str = "auto", seed: int = 0) -> Context:
    """A context for scripts: nobody listens, nobody cancels."""
    return Context(0, choose_device(device), seed, lambda _: None, threading.Event())


def refine(
    stack: FrameStack,
    config: PipelineConfig | None = None,
    *,
    view: View | None = None,
    registration: Registration | None = None,
    start: Registration | None = None,
    provisional: bool = False,
    context: Context | None = None,
    cache: SceneCache | None = None,
) -> Result:
    """Super-resolve a stack of frames, or one view of it.

    Args:
        stack: the frames.
        config: every knob; defaults where None.
        view: part of the reference frame, or None for all of it.
        registration: motion to use as it is, or None to estimate it.
        start: motion from which to estimate it, or None to begin with whole-pixel alignment.
        provisional: estimate the scene of a large stack from the surroundings of the view alone; such a result
            cannot be exported.
        context: device, seed, listener and cancel flag; a quiet one where None.
        cache: scene models of earlier runs.

    Returns:
        The estimate with error bars, the bicubic baseline, the scene model and diagnostics.

    Raises:
        HsimisrError: bad data or knobs, or `Cancelled`.
    """
    config = config or PipelineConfig()
    context = context or quiet_context()
    clock = _Clock()
    whole = View.whole(stack.reference_frame.shape_yx)
    target = whole if view is None else view.clipped(stack.reference_frame.shape_yx)

    def first_picture(scene: SceneModel, image: Float32, shown: View) -> None:
        tell(_cut(image, shown, target, scene) or quick(scene))

    def quick(scene: SceneModel) -> Estimate:
        method = LmmseConfig(rounds=0)
        return reconstruct(stack, scene, target, method, context, with_variance=False, with_residual=False)

    def tell(estimate: Estimate) -> None:
        context.sink(Preview(context.job, "first", estimate))
        clock.lap("first_picture_s")

    around = view if provisional else None
    cache = cache if cache is not None else SceneCache()
    scene = cache.find(stack, config, around, registration, start)
    if scene is None:
        scene = estimate_scene(stack, config, context, around, registration, first_picture, start)
        cache.keep(stack, config, scene, registration, start)
    else:
        tell(quick(scene))
    clock.lap("register_s")
    scene = calibrated(stack, scene, config, context, target)
    cache.keep(stack, config, scene, registration, start)
    clock.lap("calibrate_s")
    stage = learned_stage(stack, scene, target, config, context)
    if stage is not None:
        clock.lap("adapt_s")
    estimate = reconstruct(
        stack,
        scene,
        target,
        config.invert,
        context,
        with_variance=not isinstance(config.uncertainty, NoStage),
        with_residual=config.subspace.residual,
        refinement=None if stage is None else stage.refinement,
    )
    clock.lap("invert_s")
    baseline = _bicubic(stack, scene, target, context)
    clock.lap("baseline_s")
    diagnostics = {
        "timings": clock.laps,
        "device": str(context.device),
        "rank": scene.subspace.rank,
        "frames_used": len(scene.registration.included),
        "view": str(target),
    }
    if stage is not None:
        diagnostics["learned"] = stage.diagnostics()
    return Result(estimate, baseline, scene, config, diagnostics)


def _cut(image: Float32, shown: View, target: View, scene: SceneModel) -> Estimate | None:
    """The part of eigen-images of a view that shows another one, or None where it does not reach."""
    y, x = target.y0 - shown.y0, target.x0 - shown.x0
    (h, w), s = target.shape, scene.scale
    if min(y, x) < 0 or y + h > shown.shape[0] or x + w > shown.shape[1]:
        return None
    part = image[:, y * s : (y + h) * s, x * s : (x + w) * s]
    return Estimate(mean=np.ascontiguousarray(part), subspace=scene.subspace, grid=Grid.of_view(target, s))


def _bicubic(stack: FrameStack, scene: SceneModel, view: View, context: Context) -> Estimate:
    """The baseline, from the reference frame alone: the others are not even read."""
    only = replace(scene, registration=Registration((scene.registration.frames[stack.reference],)), misfit=None)
    return reconstruct(FrameStack((stack.reference_frame,)), only, view, BicubicConfig(), context, with_residual=False)


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 4)
        self._last = now

"""The learned stage of a view: its weights, adapted to the middle of the view where that is asked for."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hsimisr.adaptation.ttt import Adapted, Check
from hsimisr.cube import FrameStack
from hsimisr.geometry import MARGIN, Grid, View
from hsimisr.inversion.invert import FrameWindow
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.refiner import Refiner
from hsimisr.physics.types import Estimate, SceneModel
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.events import HeldOut, Preview
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.refinement import (
    PreparedTile,
    Refinement,
    Verdict,
    adapt_to,
    denoiser_of,
    prepare,
    refine_tile,
    refiner_of,
)
from hsimisr.pipeline.stages import DiffusionStage, RefinerStage, Stage

ADAPT_SIDE = 96
"""Side in LR pixels of the part of a large view that the refiner is adapted to."""
PREVIEW_S = 1.0
"""Seconds between two previews of an adaptation."""


@dataclass(frozen=True, eq=False)
class LearnedStage:
    """What refines a view, and what is told about it."""

    refinement: Refinement
    adapted: Adapted | None

    def diagnostics(self) -> dict[str, Any]:
        """What was adapted and how far frames that were kept back support it, for the sidecar."""
        told: dict[str, Any] = {stage.name: [] for stage in self.refinement.stages}
        for verdict in self.refinement.verdicts:
            told[verdict.stage].append(_summary(verdict))
        if self.adapted is not None:
            first, best = self.adapted.checks[0], self.adapted.best
            told["adapt"] = {
                "steps": best.step,
                "held_out_misfit": [first.heldout, best.heldout],
                "seconds": round(self.adapted.checks[-1].seconds, 3),
                "psf_variance_change": list(self.adapted.psf_change),
            }
        return told


def learned_stage(
    stack: FrameStack, scene: SceneModel, view: View, config: PipelineConfig, context: Context
) -> LearnedStage | None:
    """The learned stage that a config asks for, or None where it asks for none."""
    diffusion = _diffusion(config, context)
    method = config.refine
    if not isinstance(method, RefinerConfig):
        return LearnedStage(Refinement(diffusion), None) if diffusion else None
    refiner = refiner_of(method, context.device, context.seed)

    def with_refiner(refiner: Refiner, *further: Stage) -> Refinement:
        return Refinement((RefinerStage(refiner, method), *further), method.held_out)

    if isinstance(config.adapt, NoStage):
        return LearnedStage(with_refiner(refiner, *diffusion), None)
    region = _middle(view, ADAPT_SIDE)
    window = read_window(stack, scene.subspace.bad, region, MARGIN, scene.registration)
    eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
    steps = config.adapt.steps
    context.progress("adapt", 0, steps, "frames left out in turns")
    tile = prepare(eigen, scene, region, config.invert, method.held_out, context.device, lambda _: context.check())
    shown = [time.perf_counter()]

    def on_check(check: Check, best: Refiner | None) -> None:
        context.sink(HeldOut(context.job, "adapt", check.step, check.seconds, check.heldout))
        if best is not None and region == view and time.perf_counter() - shown[0] > PREVIEW_S:
            shown[0] = time.perf_counter()
            context.sink(Preview(context.job, "adapt", _preview(tile, with_refiner(best), view)))

    def on_step(step: int) -> None:
        context.progress("adapt", step, steps, "predicting frames that were left out")

    adapted = adapt_to(tile, refiner, config.adapt, context.seed, on_step, on_check)
    best = refiner if adapted is None else adapted.refiner
    refinement = with_refiner(best, *diffusion)
    refinement.prepared[region] = tile
    return LearnedStage(refinement, adapted)


def _diffusion(config: PipelineConfig, context: Context) -> tuple[DiffusionStage, ...]:
    """The diffusion that a config asks for; none where it asks for no step."""
    method = config.diffuse
    if isinstance(method, NoStage) or method.steps == 0:
        return ()
    return (DiffusionStage(denoiser_of(method, context.device), method, context.seed),)


@torch.no_grad()
def _preview(tile: PreparedTile, refinement: Refinement, view: View) -> Estimate:
    refined = refine_tile(tile, refinement)
    scene = tile.scene
    return Estimate(
        mean=refined.mean,
        subspace=scene.subspace,
        grid=Grid.of_view(view, scene.scale),
        variance=refined.variance,
        learned=refined.learned,
        method=refinement.method,
    )


def _summary(verdict: Verdict) -> dict[str, Any]:
    gate = verdict.gate
    scores = {"before": verdict.before, "after": verdict.after}
    return {
        "gate_weight": gate.mean,
        "held_out_gain": _finite(gate.gain),
        "held_out_gain_stderr": _finite(gate.gain_stderr),
        "reason": gate.reason,
        "held_out": {name: None if s is None else _finite_values(asdict(s)) for name, s in scores.items()},
    }


def _finite_values(values: dict[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}


def _finite(value: float) -> float | None:
    """JSON knows no infinity and no NaN."""
    return value if math.isfinite(value) else None


def _middle(view: View, side: int) -> View:
    (h, w), (y0, x0) = view.shape, view.origin
    rows, columns = min(h, side), min(w, side)
    top, left = y0 + (h - rows) // 2, x0 + (w - columns) // 2
    return View(top, top + rows, left, left + columns)

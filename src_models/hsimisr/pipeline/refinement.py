"""Learned refinement of a tile: prepared once, adapted to the scene, judged by frames that it has not seen.

The frames that judge give their own motion, gain and offset, and nothing else to the estimates they judge; prior, noise
and PSF, a few hundred numbers fitted to all frames of the scene, are shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.adaptation.lessons import Lesson, cycle_lesson, lesson
from hsimisr.adaptation.ttt import Adapted, Check, adapt
from hsimisr.diffusion.config import DiffusionSettings
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.heldout.gate import GateWeight, fixed_gate, gate
from hsimisr.heldout.judge import Score, held_out_frames, held_out_residuals, score
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.inversion import lmmse
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.inversion.invert import FrameWindow, OnStep, posterior, solve_view
from hsimisr.inversion.lmmse import Solution
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.denoiser import Denoiser
from hsimisr.networks.refiner import Refiner
from hsimisr.networks.situation import Situation
from hsimisr.networks.weights import SHIPPED, SHIPPED_DENOISER, SHIPPED_STUDENT, load_denoiser, load_refiner
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import Float32, FrameMotion, SceneModel
from hsimisr.pipeline.stages import A_SAMPLE, OnImage, Stage
from hsimisr.uncertainty.determined import changed_detail, still_determined


@dataclass(frozen=True, eq=False)
class Verdict:
    """How the estimates before and after a stage (ungated) predict the frames that judge, and what the gate made of it.

    The scores are None where no frame could be held out.
    """

    stage: str
    gate: GateWeight
    before: Score | None = None
    after: Score | None = None


@dataclass(frozen=True, eq=False)
class Refinement:
    """Learned stages and how they are used.

    Attributes:
        held_out: most frames that judge.
        prepared: tiles that are prepared already.
        verdicts: what the judges said about the stages of the tiles refined so far.
    """

    stages: tuple[Stage, ...]
    held_out: int = RefinerConfig().held_out
    prepared: dict[View, PreparedTile] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def method(self) -> str:
        """What is asked of the last stage."""
        return self.stages[-1].method

    def on(self, device: torch.device) -> Refinement:
        """The same on another device, of which no tile is prepared."""
        return Refinement(tuple(stage.on(device) for stage in self.stages), self.held_out)


@dataclass(frozen=True, eq=False)
class PreparedTile:
    """A tile as the linear inversion leaves it, and the frames that judge what comes next.

    Attributes:
        found: the linear solution from all frames.
        motions: of those frames.
        judges: the frames held out to judge, in a situation without them; None where no frame can be spared.
        predictive: variance ``(frames, r, h, w)`` that the whitened residuals of those frames should have.
        solve: the inversion for other observations of the tile, under the prior that the judges' situation has.
    """

    scene: SceneModel
    found: Solution
    motions: tuple[FrameMotion, ...]
    situation: Situation
    judges: Lesson | None
    predictive: torch.Tensor
    solve: Callable[[Observations], Solution]

    @property
    def observations(self) -> Observations:
        return self.found.equations.observations


@dataclass(frozen=True, eq=False)
class RefinedTile:
    """Eigen-images and variance ``(r, H, W)`` of the tile.

    On the LR grid ``(h, w)``, `learned` is the gate's weight and `determined` the share of the detail that the frames
    determine.
    """

    mean: Float32
    variance: Float32
    learned: Float32
    determined: Float32


def denoiser_of(config: DiffusionSettings, device: torch.device) -> Denoiser:
    """The denoiser, or student, that a config names, on a device; an untrained one changes nothing.

    Raises:
        ConfigError: weights of a student for a method that needs a denoiser, or the other way round.
    """
    if config.weights == "untrained":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Denoiser().eval().to(device)
    shipped = {"denoiser": SHIPPED_DENOISER, "student": SHIPPED_STUDENT}[config.role]
    network = load_denoiser(shipped if config.weights == "shipped" else Path(config.weights))
    if network.shape.role != config.role:
        wanted = "diffuse.method=consistency" if config.role == "denoiser" else "any method but consistency"
        raise ConfigError(f"{config.weights} holds a {network.shape.role}; use it with {wanted}, or give other weights")
    return network.to(device)


def refiner_of(config: RefinerConfig, device: torch.device, seed: int) -> Refiner:
    """The refiner that a config names, on a device."""
    if config.weights == "untrained":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Refiner().eval().to(device)
    return load_refiner(SHIPPED if config.weights == "shipped" else Path(config.weights)).to(device)


def prepare(
    window: FrameWindow,
    scene: SceneModel,
    tile: View,
    invert: InvertConfig,
    held_out: int,
    device: torch.device,
    on_step: OnStep,
) -> PreparedTile:
    """Solve a tile from all frames, and from those that do not judge.

    Raises:
        ConfigError: the inversion is not the LMMSE, whose error the learned stages need to know.
    """
    if not isinstance(invert, LmmseConfig):
        raise ConfigError(f"learned stages (refine, diffuse) need invert.method=lmmse, not {invert.method}")
    found = solve_view(window, scene, tile, invert, device, on_step)
    observations = found.equations.observations
    used = scene.registration.included
    motions = tuple(scene.registration.frames[k] for k in used)

    def solve(other: Observations) -> Solution:
        first = lmmse.solve(other, scene.prior, invert, on_step)
        return lmmse.follow_contrast(first, invert, scene.contrast_levels, on_step)

    held = held_out_frames(observations, used.index(scene.registration.reference), held_out)
    held = tuple(k for k in held if bool((observations.weight[k] > 0).any()))
    situation = Situation.of(found, motions)
    if not held:
        return PreparedTile(scene, found, motions, situation, None, torch.empty(0), solve)
    judges, near = lesson(observations, held, held, motions, solve)
    predictive = predictive_variance(observations, held, scene.prior, judges.situation.contrast)

    def solve_near(other: Observations) -> Solution:
        return lmmse.solve_near(near, other, invert, on_step)

    return PreparedTile(scene, found, motions, situation, judges, predictive, solve_near)


def adapt_to(
    tile: PreparedTile,
    refiner: Refiner,
    config: TestTimeTrainingConfig,
    seed: int,
    on_step: OnStep,
    on_check: Callable[[Check, Refiner | None], None],
) -> Adapted | None:
    """The refiner adapted to a tile, or None where no frame can say when to stop."""
    if tile.judges is None:
        return None
    o, hidden = tile.observations, tile.judges.frames
    reference = tile.scene.registration.included.index(tile.scene.registration.reference)
    rest = [k for k in range(len(o.data)) if k != reference and k not in hidden and bool((o.weight[k] > 0).any())]
    lessons = [lesson(o, (k,), hidden, tile.motions, tile.solve)[0] for k in rest[: config.lessons]]
    cycles = []
    if config.cycle > 0:
        generator = torch.Generator().manual_seed(seed)
        cycles = [cycle_lesson(refiner, tile.judges.situation, tile.motions, tile.solve, generator)]
    return adapt(refiner, lessons, cycles, tile.judges, config, on_step, on_check)


@torch.no_grad()
def refine_tile(
    tile: PreparedTile,
    refinement: Refinement,
    on_step: OnStep = lambda _: None,
    on_image: OnImage = lambda _: None,
) -> RefinedTile:
    """Refine a tile by one stage after another, each as far as the frames that judge support it.

    Args:
        on_step: called after each step of a stage; may raise to stop.
        on_image: told the image ``(r, H, W)`` of the view after each step of a stage.
    """
    canvas, situation = tile.observations.canvas, tile.situation
    view = (slice(None), *canvas.view_slices)
    posterior_of_view = posterior(tile.found, tile.scene)
    linear = torch.from_numpy(posterior_of_view.variance).to(situation.image.device)
    image, variance = situation.image, linear
    judged = None if tile.judges is None else tile.judges.situation.image
    untouched = torch.ones(canvas.shape, device=image.device)

    def told(shown: torch.Tensor) -> None:
        on_step(0)
        on_image(shown[view])

    for stage in refinement.stages:
        outcome = stage(situation, image, tile.scene.subspace, told)
        verdict, judged = _judged(tile, stage, judged, on_step)
        refinement.verdicts.append(verdict)
        gate = verdict.gate
        share = gate.on_hr()[view[1:]]
        before, after = image[view], outcome.image[view]
        variance = torch.lerp(variance, outcome.variance(variance, linear), share)
        variance = variance + share * (1 - share) * (after - before) ** 2  # of a mixture of the two
        image = gate.blend(image, outcome.image)
        untouched = untouched * (1 - gate.map)
    rows, columns = (slice(v - o, v - o + n) for v, o, n in _extent(canvas.view, canvas.origin))
    changed = changed_detail(image - situation.image, canvas, tile.scene.subspace)
    learned = _numpy((1 - untouched)[rows, columns])
    return RefinedTile(_numpy(image[view]), _numpy(variance), learned, still_determined(posterior_of_view, changed))


def _judged(
    tile: PreparedTile, stage: Stage, before: torch.Tensor | None, on_step: OnStep
) -> tuple[Verdict, torch.Tensor | None]:
    """What the frames that judge say of a stage, and the image without them that the next stage begins from.

    Args:
        before: the image without them by the stage before.
    """
    canvas, device = tile.observations.canvas, tile.situation.image.device
    if stage.open_because == A_SAMPLE:
        return Verdict(stage.name, fixed_gate(canvas, device, 1.0, A_SAMPLE)), before
    if tile.judges is None or before is None:
        weight, reason = stage.unjudged if stage.open_because is None else (1.0, stage.open_because)
        return Verdict(stage.name, fixed_gate(canvas, device, weight, reason)), None
    image = stage(tile.judges.situation, before, tile.scene.subspace, lambda _: on_step(0)).image
    old, new = (
        held_out_residuals(tile.observations, tile.judges.frames, canvas.to_spectrum(x)) for x in (before, image)
    )
    decided = gate(old, new) if stage.open_because is None else fixed_gate(canvas, device, 1.0, stage.open_because)
    verdict = Verdict(stage.name, decided, score(old, tile.predictive), score(new, tile.predictive))
    return verdict, decided.blend(before, image)


def _extent(view: View, origin: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(v, o, n) for v, o, n in zip(view.origin, origin, view.shape, strict=True)]


def _numpy(image: torch.Tensor) -> Float32:
    return np.ascontiguousarray(image.cpu().numpy(), dtype=np.float32)

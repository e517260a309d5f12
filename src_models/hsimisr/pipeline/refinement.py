"""Learned refinement of a tile: prepared once, adapted to the scene, judged by frames that it has not seen.

The frames that judge give their own motion, gain and offset, and nothing else to the estimates they judge; prior, noise
and PSF, a few hundred numbers fitted to all frames of the scene, are shared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.adaptation.lessons import Lesson, cycle_lesson, lesson
from hsimisr.adaptation.ttt import Adapted, Check, adapt
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.heldout.gate import GateWeight, fixed_gate, gate
from hsimisr.heldout.judge import Residuals, Score, held_out_frames, held_out_residuals, score
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.inversion import lmmse
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.inversion.invert import FrameWindow, OnStep, solve_view
from hsimisr.inversion.lmmse import Solution
from hsimisr.inversion.variance import posterior_variance
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.refiner import Refiner, Support
from hsimisr.networks.situation import Situation
from hsimisr.networks.weights import SHIPPED, load_refiner
from hsimisr.physics.observations import Observations
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import Float32, FrameMotion, SceneModel


@dataclass(frozen=True, eq=False)
class Verdict:
    """How linear and refined estimate (ungated) predict the frames that judge, and what the gate made of it.

    The scores are None where no frame could be held out.
    """

    gate: GateWeight
    linear: Score | None = None
    refined: Score | None = None


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refiner and how it is used.

    Attributes:
        prepared: tiles that are prepared already.
        verdicts: what the judges said about the tiles refined so far.
    """

    refiner: Refiner
    config: RefinerConfig
    prepared: dict[View, PreparedTile] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def on(self, device: torch.device) -> Refinement:
        """The same on another device, of which no tile is prepared."""
        return Refinement(copy.deepcopy(self.refiner).to(device), self.config)


@dataclass(frozen=True, eq=False)
class PreparedTile:
    """A tile as the linear inversion leaves it, and the frames that judge what comes next.

    Attributes:
        found: the linear solution from all frames.
        motions: of those frames.
        judges: the frames held out to judge, in a situation without them; None where no frame can be spared.
        linear: what the linear estimate without them leaves of them.
        predictive: variance ``(frames, r, h, w)`` that this should have.
        solve: the same inversion for other observations of the tile.
    """

    scene: SceneModel
    found: Solution
    motions: tuple[FrameMotion, ...]
    situation: Situation
    judges: Lesson | None
    linear: list[Residuals]
    predictive: torch.Tensor
    solve: Callable[[Observations], Solution]

    @property
    def observations(self) -> Observations:
        return self.found.equations.observations


@dataclass(frozen=True, eq=False)
class RefinedTile:
    """Eigen-images and variance ``(r, H, W)`` of the tile; `learned` ``(h, w)`` is the gate's weight on the LR grid."""

    mean: Float32
    variance: Float32
    learned: Float32


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
    config: RefinerConfig,
    device: torch.device,
    on_step: OnStep,
) -> PreparedTile:
    """Solve a tile from all frames, and from those that do not judge.

    Raises:
        ConfigError: the inversion is not the LMMSE, whose error the refiner needs to know.
    """
    if not isinstance(invert, LmmseConfig):
        raise ConfigError(f"refine.method=refiner needs invert.method=lmmse, not {invert.method}")
    found = solve_view(window, scene, tile, invert, device, on_step)
    observations = found.equations.observations
    used = scene.registration.included
    motions = tuple(scene.registration.frames[k] for k in used)

    def solve(other: Observations) -> Solution:
        first = lmmse.solve(other, scene.prior, invert, on_step)
        return lmmse.follow_contrast(first, invert, scene.contrast_levels, on_step)

    held = held_out_frames(observations, used.index(scene.registration.reference), config.held_out)
    held = tuple(k for k in held if bool((observations.weight[k] > 0).any()))
    situation = Situation.of(found, motions)
    if not held:
        return PreparedTile(scene, found, motions, situation, None, [], torch.empty(0), solve)
    judges, linear = lesson(observations, held, held, motions, solve)
    predictive = predictive_variance(observations, held, scene.prior, judges.situation.contrast)
    return PreparedTile(scene, found, motions, situation, judges, linear, predictive, solve)


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
def refine_tile(tile: PreparedTile, refinement: Refinement) -> RefinedTile:
    """Refine a tile as far as the frames that judge support it."""
    canvas, refiner = tile.observations.canvas, refinement.refiner
    refined = refiner(tile.situation)
    verdict = _judged(tile, refinement)
    refinement.verdicts.append(verdict)
    gate = verdict.gate
    view = (slice(None), *canvas.view_slices)
    share = gate.on_hr()[view[1:]]
    before, after = tile.situation.image[view], refined.image[view]
    psf = Psf.parse(tile.scene.psf)
    linear = posterior_variance(tile.observations, tile.scene.prior, psf, tile.found.contrast)
    variance = torch.lerp(torch.from_numpy(linear).to(after.device), refined.variance[view], share)
    variance = variance + share * (1 - share) * (after - before) ** 2  # of a mixture of the two
    rows, columns = (slice(v - o, v - o + n) for v, o, n in _extent(canvas.view, canvas.origin))
    mean = gate.blend(tile.situation.image, refined.image)[view]
    return RefinedTile(_numpy(mean), _numpy(variance), _numpy(gate.map[rows, columns]))


def _judged(tile: PreparedTile, refinement: Refinement) -> Verdict:
    canvas, device = tile.observations.canvas, tile.situation.image.device
    open_gate = fixed_gate(canvas, device, 1.0, "the gate is switched off")
    if tile.judges is None:
        weight, reason = _unjudged(refinement.refiner.support)
        return Verdict(fixed_gate(canvas, device, weight, reason) if refinement.config.gate else open_gate)
    image = refinement.refiner(tile.judges.situation).image
    after = held_out_residuals(tile.observations, tile.judges.frames, canvas.to_spectrum(image))
    decided = gate(tile.linear, after) if refinement.config.gate else open_gate
    return Verdict(decided, score(tile.linear, tile.predictive), score(after, tile.predictive))


def _unjudged(support: Support | None) -> tuple[float, str]:
    """Weight of a refiner, and why, where no frame can be held out: what its weights are known to do elsewhere."""
    if support is None or support.weight == 0:
        return 0.0, "no frame could be held out: the estimate before is kept"
    return support.weight, (
        f"no frame could be held out; on {support.situations} single frames of other scenes {support.weight:.0%} of "
        f"the change gained {support.gain_db:+.2f} dB on average, {support.worst_db:+.2f} dB at worst"
    )


def _extent(view: View, origin: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(v, o, n) for v, o, n in zip(view.origin, origin, view.shape, strict=True)]


def _numpy(image: torch.Tensor) -> Float32:
    return np.ascontiguousarray(image.cpu().numpy(), dtype=np.float32)

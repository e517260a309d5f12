"""Test-time training: the refiner learns to predict frames of the scene that it has not seen.

Each step leaves a frame out, refines what the others show, projects it to that frame and compares (leave-one-frame-out
Noise2Noise as in HDR-DSP, Nguyen et al., CVPRW 2022): the noise of the frame is independent of the estimate, so that
the loss is minimal at the truth. Frames that judge are never shown; training ends when it no longer predicts them
better, and the best refiner on the way is returned.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.adaptation.degradation import Degradation
from hsimisr.adaptation.lessons import CycleLesson, Lesson
from hsimisr.networks.refiner import Beginning, Refiner

CHECK = 5
"""Steps between two looks at the frames that judge."""
SMOOTH = 0.1
"""Residual, standard deviations, below which the Charbonnier loss is quadratic."""
STRENGTH_RATE = 30.0
"""The strengths of the data steps are logarithms of order one: they learn this much faster than weights."""


@dataclass(frozen=True)
class Check:
    """One look at the frames that judge: their mean squared whitened residual after so many steps and seconds."""

    step: int
    seconds: float
    heldout: float


@dataclass(frozen=True, eq=False)
class Adapted:
    """The best refiner on the way, the looks that chose it, and by how much the PSF's variance was changed (y, x)."""

    refiner: Refiner
    checks: tuple[Check, ...]
    best: Check
    psf_change: tuple[float, float]


def adapt(
    refiner: Refiner,
    lessons: Sequence[Lesson],
    cycles: Sequence[CycleLesson],
    judges: Lesson,
    config: TestTimeTrainingConfig,
    on_step: Callable[[int], None] | None = None,
    on_check: Callable[[Check, Refiner | None], None] | None = None,
) -> Adapted:
    """Train a copy of the refiner on the lessons in turns.

    Args:
        lessons: frames to predict.
        cycles: images to recover; used where `config.cycle` is not 0.
        judges: the frames that decide when to stop and what is best; in no lesson.
        on_step: called before each step; may raise to stop.
        on_check: given each look, and the refiner where it is the best so far.
    """
    student = copy.deepcopy(refiner).train()
    degradation = Degradation(len(judges.situation.image)).to(judges.situation.image.device)
    optimiser = _optimiser(student, degradation, config)
    frozen = config.train == "last"
    tasks: list[Lesson | CycleLesson] = [*lessons, *(cycles if config.cycle > 0 else ())]
    turns = itertools.cycle(tasks)
    beginnings: dict[int, Beginning] = {}

    def beginning_of(task: Lesson | CycleLesson) -> Beginning | None:
        """What does not change between steps is computed once."""
        if not frozen:
            return None
        if id(task) not in beginnings:
            with torch.no_grad():
                beginnings[id(task)] = student.begin(task.situation)
        return beginnings[id(task)]

    started = time.perf_counter()
    checks: list[Check] = []
    best, best_state = None, copy.deepcopy(student.state_dict())
    for step in range(config.steps + 1):
        if step % CHECK == 0 or step == config.steps:
            now = Check(step, time.perf_counter() - started, heldout_misfit(student, judges, beginning_of(judges)))
            checks.append(now)
            better = best is None or now.heldout < best.heldout
            if better:
                best, best_state = now, copy.deepcopy(student.state_dict())
            if on_check is not None:
                on_check(now, student if better else None)
            assert best is not None
            if now.step - best.step >= config.patience * CHECK or now.seconds > config.seconds:
                break
        if step == config.steps or not tasks:
            break
        if on_step is not None:
            on_step(step)
        task = next(turns)
        image = student(task.situation, beginning_of(task)).image
        loss = (
            lesson_loss(degradation(image, task.observations), task, degradation.log_noise, config.consistency)
            if isinstance(task, Lesson)
            else config.cycle * cycle_loss(image, task)
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
    assert best is not None
    student.load_state_dict(best_state)
    y, x = degradation.extra.tolist()
    return Adapted(student.eval().requires_grad_(False), tuple(checks), best, (y, x))


@torch.no_grad()
def heldout_misfit(refiner: Refiner, judges: Lesson, beginning: Beginning | None = None) -> float:
    """Mean squared whitened residual of the frames that judge."""
    image = refiner(judges.situation, beginning).image
    o = judges.observations
    left = (o.data - o.operator.forward(o.canvas.to_spectrum(image))) * o.trust.sqrt()[:, :, None, None]
    return float((left**2 * judges.counts).sum() / (judges.counts.sum() * left.shape[1]))


def lesson_loss(
    frames: torch.Tensor, lesson: Lesson, log_noise: torch.Tensor, consistency: float = 0.0
) -> torch.Tensor:
    """Charbonnier loss of the frames to predict, and of those that were seen with weight `consistency`.

    Args:
        frames: ``(K, r, h, w)``, what the image predicts.
        log_noise: ``(r,)``, logarithm of the noise variance in units of what it was taken for.
    """
    o = lesson.observations
    left = (frames - o.data) * (o.trust * (-log_noise).exp()).sqrt()[:, :, None, None]
    loss = (left**2 + SMOOTH**2).sqrt() + log_noise[:, None, None] / 2
    told = (loss * lesson.counts).sum() / (lesson.counts.sum() * len(log_noise))
    if consistency == 0:
        return told
    seen = lesson.situation.observations.weight > 0
    return told + consistency * (loss * seen).sum() / (seen.sum() * len(log_noise))


def cycle_loss(image: torch.Tensor, lesson: CycleLesson) -> torch.Tensor:
    """Squared error over the view, in units of the linear estimate's expected error."""
    error = (image - lesson.truth) / lesson.situation.error[:, None, None]
    return error[(slice(None), *lesson.situation.canvas.view_slices)].square().mean()


def _optimiser(student: Refiner, degradation: Degradation, config: TestTimeTrainingConfig) -> torch.optim.Optimizer:
    """Adam over what may move; the rest is frozen."""
    student.requires_grad_(config.train == "all")
    if config.train == "last":
        for part in (student.trunk[-1], student.residual_head):
            part.requires_grad_(True)
        student.strength.requires_grad_(True)
    student.variance_head.requires_grad_(False)  # frames tell errors of means, not of variances
    degradation.requires_grad_(config.degradation)
    weights = [p for p in student.parameters() if p.requires_grad and p is not student.strength]
    fast = [student.strength, *(p for p in degradation.parameters() if p.requires_grad)]
    rate = config.learning_rate
    return torch.optim.Adam([{"params": weights, "lr": rate}, {"params": fast, "lr": rate * STRENGTH_RATE}])

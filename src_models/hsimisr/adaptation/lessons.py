"""What a scene can teach: its frames, each predicted from the others, and the network's own image from its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from hsimisr.heldout.judge import held_out_residuals
from hsimisr.inversion.lmmse import Solution
from hsimisr.networks.refiner import Refiner
from hsimisr.networks.situation import Situation
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import FrameMotion

Solve = Callable[[Observations], Solution]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A view as some frames show it, and frames that they should predict.

    Attributes:
        situation: without the frames that are to be predicted.
        frames: the places of those.
        counts: ``(K, 1, h, w)``, True at the pixels of each of them that count.
        observations: all frames.
    """

    situation: Situation
    frames: tuple[int, ...]
    counts: torch.Tensor
    observations: Observations


@dataclass(frozen=True, eq=False)
class CycleLesson:
    """A view as frames would show it whose truth is known: an image of the network's own."""

    situation: Situation
    truth: torch.Tensor


def without(observations: Observations, frames: Iterable[int]) -> Observations:
    """Observations with the data of some frames ignored."""
    for frame in frames:
        observations = observations.without(frame)
    return observations


def lesson(
    observations: Observations,
    frames: Sequence[int],
    hidden: Sequence[int],
    motions: Sequence[FrameMotion],
    solve: Solve,
) -> tuple[Lesson, Solution]:
    """A lesson on predicting `frames`, and the linear solution that it begins from.

    Args:
        observations: all frames.
        hidden: places of frames that the lesson must not show either, because they judge.
        motions: of all frames.
        solve: the linear inversion.
    """
    found = solve(without(observations, {*frames, *hidden}))
    residuals = held_out_residuals(without(observations, set(hidden) - set(frames)), frames, found.spectrum)
    counts = torch.zeros(observations.weight.shape, dtype=torch.bool, device=observations.weight.device)
    for left in residuals:
        counts[left.frame, 0] = left.counts
    return Lesson(Situation.of(found, motions), tuple(frames), counts, observations), found


@torch.no_grad()
def cycle_lesson(
    refiner: Refiner, situation: Situation, motions: Sequence[FrameMotion], solve: Solve, generator: torch.Generator
) -> CycleLesson:
    """The refiner's image becomes the truth of frames that are made of it, noise included.

    (Pseudo-labels from degraded predictions, as in test-time training of Li et al., arXiv 2409.08667: image and frames
    agree exactly, which the image and the true frames do not.)
    """
    o, truth = situation.observations, refiner(situation).image
    noise = torch.randn(o.data.shape, generator=generator).to(o.data.device) * o.variance.sqrt()[:, :, None, None]
    data = (o.operator.forward(o.canvas.to_spectrum(truth)) + noise) * (o.weight > 0)
    return CycleLesson(Situation.of(solve(replace(o, data=data)), motions), truth)

"""Frames that are kept back, what an estimate leaves of them, and the score that this makes.

No truth is needed: the noise of a frame that an estimate has not seen is independent of the estimate's errors, so of
two estimates the better one leaves less of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import minimum_filter

from hsimisr.errors import StackError
from hsimisr.heldout.blocks import block_sums, mean_over_blocks
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations

MOST = 4
"""One frame in so many may be held out, so that the estimate judged is nearly the one from all frames."""
AS_GOOD = 0.8
"""Frames that tell at least this part of what the best one tells count as equally good."""
INSIDE = 3
"""LR pixels within what the other frames cover: nearer to its border the estimate is a continuation."""


def most_held_out(frames: int) -> int:
    """How many of K used frames may be held out: none of one, one of two to seven, then a quarter."""
    return 0 if frames < 2 else max(1, frames // MOST)


def held_out_frames(observations: Observations, reference: int, count: int) -> tuple[int, ...]:
    """Places of the frames to hold out: those that tell most, and among equals spread over sub-pixel phases.

    The reference is never held out, nor more frames than `most_held_out` allows. The choice depends on the frames
    alone, not on their order: each next frame lies farthest in phase from the reference and those chosen before.

    Args:
        reference: place of the reference among the observations.
        count: how many are wanted.
    """
    tells = observations.precision.double().mean((1, 2, 3)).cpu().numpy()
    phases = observations.operator.shifts
    rest = [k for k in range(len(tells)) if k != reference and tells[k] > 0]
    chosen: list[int] = []
    while len(chosen) < min(count, most_held_out(int((tells > 0).sum()))):
        best = max(tells[k] for k in rest)
        equals = [k for k in rest if tells[k] >= AS_GOOD * best]
        apart = [phases[k] - phases[[reference, *chosen]] for k in equals]
        distance = [round(float(np.hypot(*(d - np.rint(d)).T).min()), 6) for d in apart]
        _, _, last = max((d, tells[k], -k) for d, k in zip(distance, equals, strict=True))
        chosen.append(-last)
        rest.remove(-last)
    return tuple(sorted(chosen))


@dataclass(frozen=True, eq=False)
class Residuals:
    """What an estimate leaves of one frame that it has not seen, on the LR canvas.

    Attributes:
        frame: place of the frame among the observations.
        whitened: ``(r, h, w)``, residual of the eigen-images over the frame's noise.
        counts: ``(h, w)``, True where the frame was measured and is trusted, and its ground lies in the view and well
            inside what the other frames cover.
    """

    canvas: Canvas
    frame: int
    whitened: torch.Tensor
    counts: torch.Tensor


def held_out_residuals(observations: Observations, held: Sequence[int], spectrum: torch.Tensor) -> list[Residuals]:
    """Residuals of frames that were held out together.

    Clouds that only one frame shows are known after a robust solve of the others: `hsimisr.inversion.robust.trusted`
    of that solution weighs the held-out frames too.

    Args:
        observations: all frames, gain and offset removed, the held-out ones with their own weight.
        held: places of the frames that the estimate has not seen.
        spectrum: the estimate ``(r, s*s, h, w//2+1)``.

    Raises:
        StackError: a held-out frame measured nothing on this canvas.
    """
    o = observations
    for k in held:
        if not bool((o.weight[k] > 0).any()):
            raise StackError(f"held-out frame {k} shows nothing of this view, so it cannot judge; hold out another one")
    measured = _trusted(o)
    whitened = (o.data - o.operator.forward(spectrum)) * o.trust.sqrt()[:, :, None, None]
    reached = _predictable(o, measured, held)
    return [Residuals(o.canvas, k, whitened[k], measured[k] & reached[k]) for k in held]


@dataclass(frozen=True)
class Score:
    """How well an estimate predicts held-out frames.

    Attributes:
        raw: mean squared residual over the noise variance; ranks estimates, its target is not known.
        normalised: mean squared residual over its predictive variance; 1 where the model holds.
        stderr: standard error of `normalised`, pixels of one block counting as one; infinite where too few count.
    """

    raw: float
    normalised: float
    stderr: float


def score(residuals: Sequence[Residuals], predictive: torch.Tensor) -> Score:
    """The score of an estimate; NaN where no pixel counts.

    Frames at one place share the estimate's error there, so a block is one datum in all of them together.

    Args:
        residuals: of the held-out frames.
        predictive: their variances ``(frames, r, h, w)`` (see `hsimisr.heldout.predictive`).
    """
    squares = torch.zeros((3, *residuals[0].counts.shape), dtype=torch.float64, device=predictive.device)
    for left, variance in zip(residuals, predictive, strict=True):
        power = left.whitened.double() ** 2
        parts = [power.sum(0), (power / variance).sum(0), torch.full_like(power[0], len(power))]
        squares += torch.where(left.counts, torch.stack(parts), 0.0)
    raw, normalised, count = block_sums(squares, residuals[0].canvas)
    mean, stderr = mean_over_blocks(normalised, count)
    return Score(mean_over_blocks(raw, count)[0], mean, stderr)


def _trusted(observations: Observations) -> torch.Tensor:
    """Where each frame was measured and shows what the others show, ``(K, h, w)``."""
    weight = observations.weight
    return ((weight > 0) & (weight > weight.amax((1, 2, 3), keepdim=True) / 2))[:, 0]


def _predictable(observations: Observations, measured: torch.Tensor, held: Sequence[int]) -> torch.Tensor:
    """Pixels ``(K, h, w)`` of each frame whose ground lies in the view and `INSIDE` what frames not held out cover.

    A footprint is carried to the ground, and from there to the frames, as their motion says: by the operator.
    """
    o, canvas = observations, observations.canvas
    covered = torch.zeros(canvas.hr_shape, dtype=torch.bool, device=measured.device)
    for k in set(range(len(measured))) - set(held):
        footprint = canvas.to_image(o.operator.adjoint_of(k, measured[k : k + 1].float()))[0]
        covered |= footprint * canvas.scale**2 > 0.5
    inside = minimum_filter(covered.cpu().numpy(), 2 * INSIDE * canvas.scale + 1, mode="wrap")
    ground = torch.zeros(1, *canvas.hr_shape)
    ground[0][canvas.view_slices] = torch.from_numpy(inside[canvas.view_slices]).float()
    return o.operator.forward(canvas.to_spectrum(ground.to(measured.device)))[:, 0] > 0.5

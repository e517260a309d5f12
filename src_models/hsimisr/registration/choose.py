"""Which kind of motion the frames show: the simplest that explains them, judged by pixels that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.registration.displacement import Displacement
from hsimisr.registration.gauss_newton import Comparison

Fold = torch.Tensor
BLOCK = 4
"""Side, LR pixels, of the squares that are held out in turns; within one, errors hang together."""
FOLDS = 4
JUDGES = 4
"""Most frames that are looked at: they share the reference's errors, more of them tell little more."""
CLEAR = 3.0
"""Standard errors by which held-out pixels must favour the richer motion."""


def explains_more(
    comparisons: Sequence[Comparison], basis: Displacement, held: Sequence[Fold] = (), least: float = 0.0
) -> bool:
    """Whether displacements from `basis` predict what is left of the frames at pixels they were not fitted to.

    Displacements are fitted to three quarters of each frame's blocks and applied to the last; the gain is the drop of
    the weighted squared difference there, and must exceed its standard error over blocks clearly. Frames that are
    compared with one reference share its errors, so blocks at one place count as one.

    Args:
        held: the pixels ``(h, w)`` of each frame that were held out before; without any, all blocks are in turns.
        least: part of the weighted squared difference that the gain must be too.
    """
    every = -(-len(comparisons) // JUDGES)
    gains, differ = [], 0.0
    for n in range(0, len(comparisons), every):
        shape = comparisons[n].error.shape[1:]
        folds = [held[n]] if held else [fold(shape, turn) for turn in range(FOLDS)]
        gains.append(_held_out_gains(comparisons[n], basis, folds))
        left = (comparisons[n].weight * comparisons[n].error ** 2).sum(0)
        differ += sum(float(left[held_out].sum()) for held_out in folds)
    total = torch.stack(gains).sum(0)
    error = float(total.std()) * len(total) ** 0.5
    return bool(total.sum() > max(CLEAR * max(error, 1e-12), least * differ))


def fold(shape: Sequence[int], turn: int) -> Fold:
    """A quarter of the blocks of an image, the other quarters in other turns: True ``(h, w)`` where held out."""
    rows, cols = (np.arange(n) // BLOCK for n in shape)
    return torch.from_numpy((rows[:, None] + 2 * cols[None, :] + turn) % FOLDS == 0)


def _held_out_gains(comparison: Comparison, basis: Displacement, folds: Sequence[Fold]) -> torch.Tensor:
    """Drop of the weighted squared difference in each block ``(blocks,)``, displacements fitted to the other folds."""
    h, w = comparison.error.shape[1:]
    weighted = comparison.slopes * comparison.weight
    normal = torch.einsum("achw,bchw->abhw", weighted, comparison.slopes).float()
    pull = (weighted * comparison.error).sum(1).float()
    gain = torch.zeros(h, w, dtype=torch.float64)
    for held in folds:
        fitted = (~held).float()
        system = basis.normal((normal * fitted)[None])[0] + basis.penalty
        system = system + 1e-6 * torch.diag(system.diagonal()) + 1e-9 * torch.eye(basis.count)
        step = hermitian_inverse(system) @ basis.transpose((pull * fitted)[None])[0]
        field = basis.field(step[None])[0]
        change = 2 * (field * pull).sum(0) - torch.einsum("ahw,abhw,bhw->hw", field, normal, field)
        gain += change.double() * held
    padded = torch.nn.functional.pad(gain[None, None], (0, -w % BLOCK, 0, -h % BLOCK))
    return torch.nn.functional.avg_pool2d(padded, BLOCK).flatten() * BLOCK**2

"""Where the random numbers of a sample come from, and how far noise levels lie apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.physics.canvas import Canvas

LOWEST = 0.1
"""Noise level of the last step, times the expected error."""
CURVE = 7.0
"""Exponent by which levels crowd towards the lowest (Karras et al., NeurIPS 2022, equation 5)."""
TRAINED_LEVELS = 100
FIRST_BETA, LAST_BETA = 1e-3, 0.2
"""The linear schedule that HSR-Diff samples with: 100 steps, variances of the 1000 of DDPM taken ten at a time."""
BLOCK = 8
"""LR pixels along a side of the blocks of the reference's grid that random numbers are drawn by."""
EAST = 2**32
"""What is added to the place of a block, as seeds are not negative."""


@dataclass(frozen=True, eq=False)
class Noise:
    """White noise that belongs to the ground, and can be repeated with the opposite sign.

    Tiles that overlap draw the same numbers where they do, in the order they ask for them, so that their samples show
    one scene. (Frames that turn may lie a pixel apart in two tiles; what they add then differs there.)
    Two samples from opposite noise are each a sample, and in their mean all that is linear in the noise cancels
    (antithetic variates; Hammersley and Morton, 1956).

    Attributes:
        seed: one for all of a sample, the same in every tile.
    """

    canvas: Canvas
    seed: tuple[int, ...]
    sign: float = 1.0
    _drawn: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(cls, canvas: Canvas, seed: int, sample: int = 0) -> Noise:
        """For the samples 0, 1, 2, ... of a seed, each second the opposite of the one before."""
        return cls(canvas, (seed, sample // 2), -1.0 if sample % 2 else 1.0)

    def white(self, like: torch.Tensor) -> torch.Tensor:
        """Of unit variance, of the shape ``(..., p h, p w)`` and on the device of a tensor on the canvas of ``h x w``.

        The same on every device.
        """
        *leading, height, width = like.shape
        side, turn = BLOCK * (height // self.canvas.shape[0]), next(self._drawn)
        first, last = (
            [(origin + n) // BLOCK for origin, n in zip(self.canvas.origin, ends, strict=True)]
            for ends in ((0, 0), (self.canvas.shape[0] - 1, self.canvas.shape[1] - 1))
        )
        rows = [
            np.concatenate([self._block((*leading, side, side), turn, y, x) for x in range(first[1], last[1] + 1)], -1)
            for y in range(first[0], last[0] + 1)
        ]
        y, x = (o % BLOCK * side // BLOCK for o in self.canvas.origin)
        drawn = np.concatenate(rows, -2)[..., y : y + height, x : x + width]
        return torch.from_numpy(np.float32(self.sign) * drawn).to(like)

    def _block(self, shape: tuple[int, ...], turn: int, y: int, x: int) -> npt.NDArray[np.float32]:
        rng = np.random.default_rng((*self.seed, turn, EAST + y, EAST + x))
        return rng.standard_normal(shape, dtype=np.float32)


def noise_levels(highest: float, lowest: float, steps: int) -> tuple[float, ...]:
    """Descending levels, `steps` of them."""
    if steps == 1:
        return (highest,)
    top, bottom = highest ** (1 / CURVE), lowest ** (1 / CURVE)
    return tuple((top + n / (steps - 1) * (bottom - top)) ** CURVE for n in range(steps))


def linear_schedule(highest: float, steps: int) -> tuple[float, ...]:
    """`steps` of the levels of HSR-Diff's schedule that do not exceed `highest`, descending.

    A variance-preserving step with cumulative product a has the level ``sqrt((1 - a) / a)``.
    """
    kept = torch.cumprod(1 - torch.linspace(FIRST_BETA, LAST_BETA, TRAINED_LEVELS, dtype=torch.float64), 0)
    levels = ((1 - kept) / kept).sqrt()
    levels = levels[levels <= highest].flip(0)
    places = torch.linspace(0, len(levels) - 1, min(steps, len(levels))).round().long()
    return tuple(levels[places].tolist())

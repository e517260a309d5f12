"""Where the random numbers of a sample come from, and how far noise levels lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch

LOWEST = 0.1
"""Noise level of the last step, times the expected error."""
CURVE = 7.0
"""Exponent by which levels crowd towards the lowest (Karras et al., NeurIPS 2022, equation 5)."""
TRAINED_LEVELS = 100
FIRST_BETA, LAST_BETA = 1e-3, 0.2
"""The linear schedule that HSR-Diff samples with: 100 steps, variances of the 1000 of DDPM taken ten at a time."""


@dataclass(frozen=True, eq=False)
class Noise:
    """White noise that can be repeated with the opposite sign.

    Two samples from opposite noise are each a sample, and in their mean all that is linear in the noise cancels
    (antithetic variates; Hammersley and Morton, 1956).
    """

    generator: torch.Generator
    sign: float = 1.0

    @classmethod
    def of(cls, seed: int, sample: int) -> Noise:
        """For the samples 0, 1, 2, ... of a seed, each second the opposite of the one before."""
        generator = torch.Generator().manual_seed(seed * 1_000_003 + sample // 2)
        return cls(generator, -1.0 if sample % 2 else 1.0)

    def white(self, like: torch.Tensor) -> torch.Tensor:
        """Of unit variance, of the shape and on the device of a tensor; the same on every device."""
        return self.sign * torch.randn(like.shape, generator=self.generator).to(like)


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

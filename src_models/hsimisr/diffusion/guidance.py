"""Guidance: what is wanted of a denoised image beyond what posterior and network say of it, each with a weight.

Each wish is an energy that is 0 where it is fulfilled. One step down its gradient is taken, in units of the noise that
is left, of Polyak's length (energy over squared gradient; Polyak, 1969) times the weight, so that a weight of 1 goes as
far as the energy would fall if it went on straight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from hsimisr.diffusion.config import DiffusionSettings
from hsimisr.diffusion.model import Guide
from hsimisr.networks.consistency import observe
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import Subspace

Energy = Callable[[torch.Tensor], torch.Tensor]
"""Of a deviation ``(n, H, W)``, noise units; a scalar."""
BLOCK = 8
"""Side in HR pixels of the blocks whose changes should be of low rank."""


def guide_of(
    config: DiffusionSettings,
    estimate: torch.Tensor,
    observations: Observations,
    subspace: Subspace,
    unit: torch.Tensor,
) -> Guide | None:
    """The guide that a config asks for, None where it wishes for nothing.

    Args:
        estimate: image ``(r, H, W)`` of the stage before, from which deviations count.
        observations: of the n leading eigen-images.
        unit: expected error of those ``(n, 1, 1)``.
    """
    spectra = Spectra.of(subspace, estimate, len(unit), observations.canvas.scale)
    wishes: list[tuple[float, Energy]] = [
        (config.likelihood, lambda d: likelihood(d, estimate[: len(unit)], observations)),
        (config.sam, spectra.angle),
        (config.ergas, spectra.ergas),
        (config.low_rank, lambda d: excess_rank(d / unit)),
    ]
    wanted = [(weight, energy) for weight, energy in wishes if weight > 0]
    if not wanted:
        return None

    def guide(deviation: torch.Tensor, level: float) -> torch.Tensor:
        left = (unit * level / math.hypot(1, level)) ** 2
        for weight, energy in wanted:
            deviation = deviation - weight * polyak_step(energy, deviation, left)
        return deviation

    return guide


def polyak_step(energy: Energy, at: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """``E / (g' M g) M g``: where the energy would be 0 if it fell on as it does, by a metric M ``(n, 1, 1)``."""
    with torch.enable_grad():
        place = at.detach().requires_grad_()
        value = energy(place)
        (gradient,) = torch.autograd.grad(value, place)
    direction = metric * gradient
    return value.detach() * direction / (gradient * direction).sum().clamp_min(1e-30)


def likelihood(deviation: torch.Tensor, estimate: torch.Tensor, observations: Observations) -> torch.Tensor:
    """What the misfit to the frames has beyond their noise, per datum; 0 below."""
    o = observations
    misfit = (o.precision * (o.data - observe(estimate + deviation, o)) ** 2).sum()
    count = (o.precision > 0).sum()
    return (misfit / count - 1).clamp_min(0)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Band spectra of LR pixels by their eigen-images: products of spectra are products of few coefficients.

    Attributes:
        gram: of mean spectrum and basis ``(1 + r, 1 + r)``.
        relative: the same of the basis alone, bands divided by the mean spectrum, per band ``(r, r)``.
        before: coefficients ``(1 + r, h, w)`` of the stage before, the mean spectrum's first: 1.
    """

    gram: torch.Tensor
    relative: torch.Tensor
    before: torch.Tensor
    kept: int
    scale: int

    @classmethod
    def of(cls, subspace: Subspace, estimate: torch.Tensor, kept: int, scale: int) -> Spectra:
        good = ~subspace.bad
        mean = torch.from_numpy(subspace.mean[good])
        basis = torch.from_numpy(subspace.basis[good]).double()
        rows = torch.cat([mean[:, None], basis], 1)
        weighted = basis / mean.abs().clamp_min(1e-12)[:, None]
        low = functional.avg_pool2d(estimate, scale)
        before = torch.cat([torch.ones_like(low[:1]), low])
        gram, relative = rows.T @ rows, weighted.T @ weighted / len(mean)
        return cls(gram.to(low), relative.to(low), before, kept, scale)

    def angle(self, deviation: torch.Tensor) -> torch.Tensor:
        """Mean of ``1 - cos^2`` of the angle between a pixel's spectrum and that of the stage before."""
        low = functional.avg_pool2d(deviation, self.scale)
        after = torch.cat([self.before[:1], self.before[1 : self.kept + 1] + low, self.before[self.kept + 1 :]])
        first, second = (torch.einsum("ij,jhw->ihw", self.gram, x) for x in (self.before, after))
        across = (self.before * second).sum(0)
        lengths = (self.before * first).sum(0) * (after * second).sum(0)
        return (1 - across**2 / lengths.clamp_min(1e-30)).clamp_min(0).mean()

    def ergas(self, deviation: torch.Tensor) -> torch.Tensor:
        """Squared relative difference from the stage before, mean over bands and LR pixels."""
        low = functional.avg_pool2d(deviation, self.scale)
        square = self.relative[: self.kept, : self.kept]
        return torch.einsum("ihw,ij,jhw->hw", low, square, low).mean()


def excess_rank(deviation: torch.Tensor) -> torch.Tensor:
    """How far blocks of a deviation ``(n, H, W)`` are from one pattern shared by all eigen-images.

    ``|D|_*^2 / |D|_F^2 - 1`` of each block's matrix of eigen-images by pixels, which is 0 for rank 1; mean over blocks.
    """
    n = len(deviation)
    blocks = functional.unfold(deviation[None], BLOCK, stride=BLOCK)[0].reshape(n, BLOCK**2, -1).permute(2, 0, 1)
    values = torch.linalg.svdvals(blocks)
    energy = values.square().sum(-1)
    return (values.sum(-1) ** 2 / energy.clamp_min(1e-12) - 1).mean()

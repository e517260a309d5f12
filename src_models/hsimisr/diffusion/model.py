"""What every sampler asks: what is the scene, given a noisy one?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hsimisr.diffusion.gaussian import GaussianPosterior
from hsimisr.diffusion.noise import Noise
from hsimisr.networks.denoiser import Condition, Denoiser
from hsimisr.networks.situation import Situation

Guide = Callable[[torch.Tensor, float], torch.Tensor]
"""From a denoised deviation ``(n, H, W)`` and the noise level to a better one."""
OnStep = Callable[[torch.Tensor], None]
"""Told the denoised deviation ``(n, H, W)`` after each network evaluation; may raise to stop."""


@dataclass(frozen=True, eq=False)
class Model:
    """Posterior and network of one view; deviations ``(n, H, W)`` count from an estimate, noise units.

    Attributes:
        guide: what is wanted beyond that; None for nothing.
    """

    posterior: GaussianPosterior
    network: Denoiser
    known: Condition
    guide: Guide | None = None

    @classmethod
    def of(cls, situation: Situation, estimate: torch.Tensor, network: Denoiser, guide: Guide | None = None) -> Model:
        """For deviations from an image ``(r, H, W)`` of the canvas."""
        return cls(GaussianPosterior.of(situation), network, network.condition(situation, estimate), guide)

    @property
    def unit(self) -> torch.Tensor:
        """Standard deviation ``(n, 1, 1)`` of noise of level 1."""
        return self.posterior.error[:, None, None]

    def start(self, level: float, noise: Noise) -> torch.Tensor:
        """A noisy deviation: a draw from the posterior of the stage before, and noise of a level."""
        drawn = self.posterior.draw(math.inf, noise)
        return drawn + level * self.unit * noise.white(drawn)

    def change(self, noisy: torch.Tensor, level: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The Gaussian denoised deviation, and how the network (and the guide) would change it."""
        denoised = self.posterior.denoise(noisy, level)
        told = self.network(self.known, noisy / self.unit, denoised / self.unit, level)
        change = self.unit * (level / math.hypot(1, level)) * told
        if self.guide is not None:
            change = self.guide(denoised + change, level) - denoised
        return denoised, change

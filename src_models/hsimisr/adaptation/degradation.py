"""The degradation branch: how the camera may differ from what the solver was told."""

from __future__ import annotations

import math

import torch
from torch import nn

from hsimisr.networks.consistency import observe
from hsimisr.physics.observations import Observations

WIDEST = 0.15
"""Largest change of the PSF's variance along an axis, LR pixels squared."""


class Degradation(nn.Module):
    """Frames of an image through a PSF a little wider or narrower along each axis, and noise a little stronger.

    A Gaussian of variance `extra` is convolved onto the PSF; where it is negative the PSF is sharpened by as much.

    Args:
        rank: eigen-images.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._bend = nn.Parameter(torch.zeros(2))
        self.log_noise = nn.Parameter(torch.zeros(rank))

    @property
    def extra(self) -> torch.Tensor:
        """Change of the PSF's variance along y and x ``(2,)``, LR pixels squared."""
        return WIDEST * torch.tanh(self._bend)

    def forward(self, image: torch.Tensor, observations: Observations) -> torch.Tensor:
        """Frames ``(K, r, h, w)`` of an image ``(r, H, W)``."""
        canvas = observations.canvas
        fy, fx = (torch.from_numpy(f).to(image.device, image.dtype) for f in canvas.frequencies)
        y, x = self.extra
        transfer = torch.exp(-2 * math.pi**2 * (y * fy**2 + x * fx**2))
        return observe(canvas.to_image(canvas.to_spectrum(image) * transfer), observations)

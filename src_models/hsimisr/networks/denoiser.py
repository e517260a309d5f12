"""The denoiser: HSR-Diff's CDFormer (Wu et al., ICCV 2023), sized for this product, on deviations from an estimate.

A diffusion works on how far the scene may lie from the estimate of the stage before, each eigen-image in units of its
expected error. Given a noisy deviation, the Gaussian posterior of the frames already gives a denoised one (see
`hsimisr.diffusion.gaussian`); the network corrects that by what edges and texture tell. Its head starts at zero, so
that an untrained one leaves the diffusion exactly Gaussian.

Two streams: one looks at the estimate and the frames and is computed once, the other at the noisy deviation, the
Gaussian denoised one and the noise level. As in the refiner, one network serves every leading eigen-image and what it
does turns with the eigen-image's sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hsimisr.networks.deformable import zeroed
from hsimisr.networks.evidence import EvidenceBranch
from hsimisr.networks.features import EVEN, ODD, even_features, odd_features
from hsimisr.networks.refiner import AROUND, Stem
from hsimisr.networks.s2tl import NoiseConditionedLayer, SpatialSpectralLayer
from hsimisr.networks.situation import Situation
from hsimisr.settings import Settings

NOISY = 2
"""What the denoising stream is shown of each eigen-image: the noisy and the Gaussian denoised deviation."""


class DenoiserShape(Settings):
    """The size of a denoiser; stored with its weights.

    A student has learned to answer for all steps of a denoiser at once (see `hsimisr.diffusion.consistency`).
    """

    kind: Literal["denoiser"] = "denoiser"
    role: Literal["denoiser", "student"] = "denoiser"
    width: int = 32
    heads: int = 4
    layers: int = 2
    evidence: int = 8
    groups: int = 4


@dataclass(frozen=True, eq=False)
class Condition:
    """What does not depend on the noise: features ``(2 n, H', W', C)`` of each depth, n leading eigen-images and their
    turned signs near the view, and where that lies in images of the canvas.
    """

    features: tuple[torch.Tensor, ...]
    near: tuple[slice, slice]


class Denoiser(nn.Module):
    """From a noisy deviation to the correction of its Gaussian denoised one; any scale, number of frames and rank."""

    def __init__(self, shape: DenoiserShape | None = None) -> None:
        super().__init__()
        self.shape = shape or DenoiserShape()
        width, heads, groups = self.shape.width, self.shape.heads, self.shape.groups
        turns = [bool(n % 2) for n in range(self.shape.layers)]
        self.evidence = EvidenceBranch(self.shape.evidence, groups)
        self.stem = Stem(ODD + groups, EVEN, width)
        self.estimate_stream = nn.ModuleList(SpatialSpectralLayer(width, heads, shifted) for shifted in turns)
        self.noise = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.noisy = nn.Conv2d(NOISY, width, 3, padding=1, bias=False)
        self.denoising_stream = nn.ModuleList(NoiseConditionedLayer(width, heads, shifted) for shifted in turns)
        self.head = zeroed(nn.Conv2d(width, 1, 3, padding=1, bias=False))

    def condition(self, situation: Situation, estimate: torch.Tensor) -> Condition:
        """The stream that is computed once.

        Args:
            estimate: image ``(r, H, W)`` of the canvas that deviations count from.
        """
        near = situation.canvas.slices_around(AROUND)
        odd = torch.cat([odd_features(situation, estimate), self.evidence(situation)], 1)[(..., *near)]
        even = even_features(situation, estimate)[(..., *near)]
        x = self.stem(odd, even).permute(0, 2, 3, 1)
        features = []
        for layer in self.estimate_stream:
            x = layer(x)
            features.append(x)
        return Condition(tuple(features), near)

    def forward(self, condition: Condition, noisy: torch.Tensor, denoised: torch.Tensor, level: float) -> torch.Tensor:
        """The correction ``(n, H, W)``, in units of what the Gaussian denoiser leaves open; 0 away from the view.

        Args:
            noisy: deviation ``(n, H, W)`` plus noise of standard deviation `level`, units of the expected error.
            denoised: the Gaussian denoised one.
            level: noise level, units of the expected error, above 0.
        """
        shown = torch.stack([noisy / math.hypot(1, level), denoised], 1)[(..., *condition.near)]
        turning = self.noisy(shown.asinh())
        x = torch.cat([turning, -turning]).permute(0, 2, 3, 1) + condition.features[0]
        noise = self.noise(_embedding(level, self.shape.width, x))
        for layer, features in zip(self.denoising_stream, condition.features, strict=True):
            x = layer(x, features, noise)
        plus, minus = x.permute(0, 3, 1, 2).chunk(2)
        out = torch.zeros_like(noisy)
        out[(..., *condition.near)] = (self.head(plus - minus) / 2)[:, 0].to(out.dtype)
        return out


def _embedding(level: float, channels: int, like: torch.Tensor) -> torch.Tensor:
    """Sines and cosines ``(channels,)`` of the logarithm of a noise level."""
    waves = torch.exp(torch.linspace(math.log(0.5), math.log(8.0), channels // 2)) * math.log(level)
    return torch.cat([waves.sin(), waves.cos()]).to(like)

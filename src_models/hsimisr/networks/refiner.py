"""The refiner: what edges, texture and spectra tell beyond Gaussian statistics, held to the frames after every stage.

The same trunk is unrolled a few times. Each stage adds a learned residual to the image, in units of its expected error,
then pulls the result back to the frames (see `consistency`). Residual and log-variance heads start at zero, so that an
untrained refiner returns the linear estimate, all but a faint pull.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from hsimisr.networks.deformable import GuidedDeformableAttention, zeroed
from hsimisr.networks.essa import EssaAttention
from hsimisr.networks.features import (
    FOLD,
    FRAME_CHANNELS,
    IMAGE_CHANNELS,
    QUERY_CHANNELS,
    frame_features,
    image_features,
    query_features,
)
from hsimisr.networks.situation import Situation
from hsimisr.physics.config import MAX_RANK
from hsimisr.settings import Settings

FAINT = 4.0
"""Strength t at the start: the refined image counts as e^4 times surer than the prior."""
LOG_VARIANCE = (-6.0, 4.0)
"""Limits of the log-variance, relative to the linear estimate's."""


class RefinerShape(Settings):
    """The size of a refiner; stored with its weights."""

    width: int = 48
    blocks: int = 6
    stages: int = 2
    evidence: int = 24
    groups: int = 4


@dataclass(frozen=True, eq=False)
class Refined:
    """Image and variance ``(r, H, W)`` on the canvas, noise units."""

    image: torch.Tensor
    variance: torch.Tensor


class Refiner(nn.Module):
    """From a situation to a refined image, any scale, number of frames, and rank up to 16."""

    def __init__(self, shape: RefinerShape | None = None) -> None:
        super().__init__()
        self.shape = shape or RefinerShape()
        width, evidence = self.shape.width, self.shape.evidence
        self.frame_encoder = _encoder(FRAME_CHANNELS, evidence)
        self.query_encoder = _encoder(QUERY_CHANNELS, evidence)
        self.alignment = GuidedDeformableAttention(evidence, self.shape.groups)
        self.stem = SeparableConvolution(IMAGE_CHANNELS + evidence, width)
        self.stage_bias = nn.Parameter(torch.zeros(self.shape.stages, width))
        self.trunk = nn.Sequential(*(Block(width) for _ in range(self.shape.blocks)))
        self.residual_head, self.variance_head = (
            zeroed(nn.Conv2d(width, MAX_RANK * FOLD**2, 3, padding=1)) for _ in range(2)
        )
        self.strength = nn.Parameter(torch.full((self.shape.stages, MAX_RANK), FAINT))

    def gather_evidence(self, situation: Situation) -> torch.Tensor:
        """What the frames' residuals show ``(C, h, w)`` on the reference's LR grid; the same for every stage."""
        frames = self.frame_encoder(frame_features(situation))
        query = self.query_encoder(query_features(situation)[None])[0]
        weight = situation.observations.weight
        seen = weight / weight.amax().clamp_min(1e-6)
        gathered: torch.Tensor = self.alignment(query, frames, situation.positions, seen)
        return gathered

    def forward(self, situation: Situation, evidence: torch.Tensor | None = None) -> Refined:
        """Refine one view.

        Args:
            evidence: of `gather_evidence`, where it is known already.
        """
        evidence = self.gather_evidence(situation) if evidence is None else evidence
        image, rank = situation.image, len(situation.image)
        size = situation.canvas.hr_shape
        error = situation.error[:, None, None]
        for stage in range(self.shape.stages):
            features = image_features(situation, image)
            placed = functional.interpolate(evidence[None], features.shape[1:], mode="bilinear")[0]
            x = self.stem(torch.cat([features, placed])[None])
            x = self.trunk(x + self.stage_bias[stage, :, None, None])
            image = image + error * _unfolded(self.residual_head(x), rank, size)
            image = situation.consistency.step(image, self.strength[stage, :rank])
        log_variance = _unfolded(self.variance_head(x), rank, size).clamp(*LOG_VARIANCE)
        return Refined(image, error**2 * log_variance.exp())


class SeparableConvolution(nn.Module):
    """Spectral, then spatial: a 1 x 1 convolution over channels and a 3 x 3 one within each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spectral = nn.Conv2d(inputs, outputs, 1)
        self.spatial = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(1, inputs, h, w)`` to ``(1, outputs, h, w)``."""
        out: torch.Tensor = self.spatial(self.spectral(x))
        return out


class Block(nn.Module):
    """Spectral-spatial attention, then a gated feed-forward layer with a 5 x 5 convolution within channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(1, width) for _ in range(2)])
        self.attention = EssaAttention(width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.spatial = nn.Conv2d(2 * width, 2 * width, 5, padding=2, groups=2 * width)
        self.contract = nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(1, width, h, w)`` to the same shape."""
        x = x + self.attention(self.norms[0](x)[0])[None]
        gate, value = self.spatial(self.expand(self.norms[1](x))).chunk(2, 1)
        out: torch.Tensor = x + self.contract(functional.gelu(gate) * value)
        return out


def _encoder(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1)
    )


def _unfolded(features: torch.Tensor, rank: int, size: tuple[int, int]) -> torch.Tensor:
    """Images ``(r, H, W)`` of features ``(1, 16 * 4, h', w')`` on the folded grid."""
    return functional.pixel_shuffle(features, FOLD)[0, :rank, : size[0], : size[1]]

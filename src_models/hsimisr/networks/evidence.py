"""The evidence branch: what the frames still show that the linear estimate does not explain, brought to its grid."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from hsimisr.networks.deformable import GuidedDeformableAttention
from hsimisr.networks.features import FRAME_CHANNELS, LEADING, QUERY_CHANNELS, frame_features, query_features
from hsimisr.networks.situation import Situation


class EvidenceBranch(nn.Module):
    """Residuals of the frames, gathered at every pixel by guided deformable attention.

    Args:
        channels: of the frames' features.
        groups: weighted means of the residuals that each eigen-image is given.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.frame_encoder = _encoder(FRAME_CHANNELS, channels)
        self.query_encoder = _encoder(QUERY_CHANNELS, channels)
        self.alignment = GuidedDeformableAttention(channels, groups)

    def forward(self, situation: Situation) -> torch.Tensor:
        """Of the n leading eigen-images ``(n, groups, H, W)``; odd in their sign."""
        frames = self.frame_encoder(frame_features(situation))
        query = self.query_encoder(query_features(situation)[None])[0]
        weight = situation.observations.weight
        seen = weight / weight.amax().clamp_min(1e-6)
        residual = situation.residual[:, :LEADING].asinh()
        gathered = self.alignment(query, frames, residual, situation.positions, seen)
        return functional.interpolate(gathered, situation.canvas.hr_shape, mode="bilinear")


def _encoder(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1)
    )

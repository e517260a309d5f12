"""Guided deformable attention: what a set of frames shows around a point, wherever each of them shows it.

The mechanism of RVRT (Liang et al., NeurIPS 2022, section 3.3): from where the registration puts a pixel in each frame,
3 x 3 places, moved by learned offsets, are sampled, and the query at the pixel attends to all places of all frames
at once. Here the offsets stay within one LR pixel, so that a good registration cannot be undone, and the softmax makes
the result independent of the frames' order and number. Values are not projected: every group of channels gives a
weighted mean of the images themselves, which turns with their sign, and there may be any number of them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

TAPS = 9
REACH = 1.0
"""Largest learned offset, LR pixels."""


class GuidedDeformableAttention(nn.Module):
    """Attention from each pixel of the reference to nine places in each of K frames.

    Args:
        channels: of queries and keys; divisible by `groups`.
        groups: parts of the channels with offsets and attention of their own.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.offsets = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.GELU(),
            zeroed(nn.Conv2d(channels, groups * TAPS * 2, 1)),
        )

    def forward(
        self,
        query: torch.Tensor,
        frames: torch.Tensor,
        images: torch.Tensor,
        positions: torch.Tensor,
        seen: torch.Tensor,
    ) -> torch.Tensor:
        """Weighted means ``(n, groups, h, w)`` on the reference's grid.

        Args:
            query: ``(C, h, w)``.
            frames: features of the frames ``(K, C, h, w)``.
            images: what is averaged ``(K, n, h, w)``.
            positions: ``(K, h, w, 2)``, pixel ``(y, x)`` of each frame that shows each pixel of the reference.
            seen: ``(K, 1, h, w)``, how far each pixel of a frame is trusted, 0 to 1.
        """
        k, c, h, w = frames.shape
        g, d = self.groups, c // self.groups
        guided = _sample(frames, positions[:, None])[:, :, 0]
        beside = torch.cat([query.expand(k, -1, -1, -1), guided], 1)
        offsets = REACH * torch.tanh(self.offsets(beside)).reshape(k, g, TAPS, 2, h, w).permute(0, 1, 2, 4, 5, 3)
        places = positions[:, None, None] + _taps(frames.device)[None, None, :, None, None] + offsets
        places = places.reshape(k * g, TAPS, h, w, 2)
        keys = _sample(self.key(frames).reshape(k * g, d, h, w), places).reshape(k, g, d, TAPS, h, w)
        trusted = _sample(_each(seen, g), places).reshape(k, g, TAPS, h, w)
        values = _sample(_each(images, g), places).reshape(k, g, -1, TAPS, h, w)
        asked = self.query(query).reshape(1, g, d, 1, h, w)
        score = (asked * keys).sum(2) / d**0.5 + trusted.clamp_min(1e-6).log()
        share = torch.softmax(score.transpose(0, 1).reshape(g, k * TAPS, h, w), 1).reshape(g, k, TAPS, h, w)
        return torch.einsum("gkthw,kgnthw->nghw", share, values)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """A convolution that gives nothing before it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _each(images: torch.Tensor, groups: int) -> torch.Tensor:
    """Images ``(K, n, h, w)`` for every group ``(K * groups, n, h, w)``."""
    return images.repeat_interleave(groups, 0)


def _taps(device: torch.device) -> torch.Tensor:
    """The 3 x 3 places around a pixel ``(9, 2)``."""
    steps = torch.arange(-1.0, 2.0, device=device)
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(TAPS, 2)


def _sample(images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Images ``(N, C, h, w)`` at pixels ``(N, T, h, w, 2)``, bilinear, 0 outside: ``(N, C, T, h, w)``."""
    n, c, h, w = images.shape
    taps = places.shape[1]
    size = torch.tensor([h, w], dtype=places.dtype, device=places.device)
    grid = (2 * places + 1) / size - 1
    flat = grid.flip(-1).reshape(n, taps * h, w, 2)
    return functional.grid_sample(images, flat.to(images.dtype), align_corners=False).reshape(n, c, taps, h, w)

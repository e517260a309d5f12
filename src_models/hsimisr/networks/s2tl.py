"""The spatial-spectral transformer layer of HSR-Diff (Wu et al., ICCV 2023, section 3.2), of each eigen-image.

Attention between the pixels of a window (Swin; Liu et al., 2021), then between channels (the transposed attention of
Restormer; Zamir et al., 2022), then a gated feed-forward network with a depthwise convolution. The second also looks at
the mean over all eigen-images and signs, by which they learn of each other. Features are ``(N, H, W, C)``.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

WINDOW = 8
"""Side of a window, pixels."""
EXPANSION = 1.5
"""Channels inside the feed-forward network, times those outside."""


class WindowAttention(nn.Module):
    """Softmax attention within windows of 8 x 8 pixels, with a learned bias for each relative position.

    All eigen-images share their edges: which pixels are alike is told by the mean over them and over their signs, and
    holds for the values of each. That takes an eighth of the time that attention of each to itself would.

    Args:
        shifted: whether windows begin half a window further, so that layers in turn connect them.
    """

    def __init__(self, channels: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shift = heads, WINDOW // 2 if shifted else 0
        self.query_key = nn.Linear(channels, 2 * channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.out = nn.Linear(channels, channels)
        self.position_bias = nn.Parameter(torch.zeros(heads, (2 * WINDOW - 1) ** 2))
        self.register_buffer("_relative", _relative_positions(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(N, H, W, C)`` to the same shape."""
        n, height, width, c = x.shape
        values = self._windows(self.value(x))
        query, key = self._windows(self.query_key(x.mean(0, keepdim=True))).chunk(2, -1)
        q, k = (part[:, :, 0].unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key))
        bias = self.position_bias[:, cast(torch.Tensor, self._relative)]
        share = torch.softmax((q @ k.transpose(-1, -2)) * (c // self.heads) ** -0.5 + bias, -1).to(values.dtype)
        split = values.unflatten(-1, (self.heads, -1)).permute(0, 3, 1, 2, 4).flatten(3)
        mixed = (share @ split).unflatten(-1, (n, -1)).permute(0, 2, 3, 1, 4).flatten(3)
        out: torch.Tensor = self.out(self._together(mixed, height, width))
        return out

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """Windows ``(windows, 64, N, C)`` of features ``(N, H, W, C)``, the border repeated."""
        n, height, width, c = x.shape
        padding = (0, -width % WINDOW, 0, -height % WINDOW)
        whole = functional.pad(x.permute(0, 3, 1, 2), padding, mode="replicate").permute(0, 2, 3, 1)
        moved = whole.roll((-self.shift, -self.shift), (1, 2))
        parts = moved.reshape(n, whole.shape[1] // WINDOW, WINDOW, whole.shape[2] // WINDOW, WINDOW, c)
        return parts.permute(1, 3, 2, 4, 0, 5).reshape(-1, WINDOW**2, n, c)

    def _together(self, windows: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Features ``(N, H, W, C)`` of windows: undoes `_windows`."""
        n, c = windows.shape[2:]
        rows, columns = -(-height // WINDOW), -(-width // WINDOW)
        parts = windows.reshape(rows, columns, WINDOW, WINDOW, n, c).permute(4, 0, 2, 1, 3, 5)
        moved = parts.reshape(n, rows * WINDOW, columns * WINDOW, c)
        return moved.roll((self.shift, self.shift), (1, 2))[:, :height, :width]


class SpectralAttention(nn.Module):
    """Transposed attention: channels attend to channels, by how alike they are over all pixels.

    ``out = W (softmax(t k' q) v)`` with queries and keys of unit length over the pixels and a learned t for each head.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key_value = nn.Linear(channels, 2 * channels, bias=False)
        self.shared = nn.Linear(channels, channels, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Features ``(N, H, W, C)`` that ask, and those that answer: themselves, or another stream."""
        seen = source + self.shared(source.mean(0, keepdim=True))
        key, value = self.key_value(seen).chunk(2, -1)
        q, k, v = (self._by_head(part) for part in (self.query(x), key, value))
        alike = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(-1, -2)
        mixed = torch.softmax(alike * self.temperature, -1).to(v.dtype) @ v
        out: torch.Tensor = self.out(mixed.permute(0, 3, 1, 2).reshape(x.shape))
        return out

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, heads, C / heads, H W)`` of features ``(N, H, W, C)``."""
        return x.flatten(1, 2).unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1)


class GatedFeedForward(nn.Module):
    """``W (gelu(a) b)`` of two halves that a depthwise convolution made of expanded channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = int(channels * EXPANSION)
        self.expand = nn.Linear(channels, 2 * inside)
        self.depthwise = nn.Conv2d(2 * inside, 2 * inside, 3, padding=1, groups=2 * inside)
        self.contract = nn.Linear(inside, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(N, H, W, C)`` to the same shape."""
        first, second = self.depthwise(self.expand(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).chunk(2, -1)
        out: torch.Tensor = self.contract(functional.gelu(first) * second)
        return out


class SpatialSpectralLayer(nn.Module):
    """S2TL: window attention, spectral attention and feed-forward, each added to what it was given, normalised."""

    def __init__(self, channels: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.spatial = WindowAttention(channels, heads, shifted)
        self.spectral = SpectralAttention(channels, heads)
        self.feed_forward = GatedFeedForward(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(N, H, W, C)`` to the same shape."""
        x = x + self.spatial(self.norms[0](x))
        normalised = self.norms[1](x)
        x = x + self.spectral(normalised, normalised)
        out: torch.Tensor = x + self.feed_forward(self.norms[2](x))
        return out


class NoiseConditionedLayer(nn.Module):
    """NC-S2TL: what the noise level adds, attention to the other stream at the same depth, then an S2TL."""

    def __init__(self, channels: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.noise = nn.Linear(channels, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.cross = SpectralAttention(channels, heads)
        self.layer = SpatialSpectralLayer(channels, heads, shifted)

    def forward(self, x: torch.Tensor, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Features ``(N, H, W, C)`` of the noisy image and of the condition, and the embedded noise level ``(C,)``."""
        x = x + self.noise(noise)
        out: torch.Tensor = self.layer(x + self.cross(self.norms[0](x), self.norms[1](condition)))
        return out


def _relative_positions() -> torch.Tensor:
    """Index ``(64, 64)`` of the relative position of two pixels of a window."""
    places = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij"), -1).reshape(-1, 2)
    apart = places[:, None] - places[None] + WINDOW - 1
    return apart[..., 0] * (2 * WINDOW - 1) + apart[..., 1]

"""ESSA attention: attention over all pixels at linear cost, blind to the brightness and strength of a spectrum.

ESSAformer (Zhang et al., ICCV 2023): the kernel ``exp(SCC^2)`` of the spectral correlation coefficient of two pixels,
kept to first order of its Taylor series, which splits into a product of features of each.
"""

from __future__ import annotations

import torch
from torch import nn


class EssaAttention(nn.Module):
    """``out = W (v + a (b' v) / sqrt(N))`` over N pixels of C channels.

    Queries and keys lose their mean over the channels, are squared, and are normalised: queries over the channels, keys
    over the pixels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From features ``(C, h, w)`` to the same shape."""
        c, h, w = x.shape
        q, k, v = self.project(x).reshape(3, c, h * w)
        queries, keys = (part - part.mean(0, keepdim=True) for part in (q, k))
        a = nn.functional.normalize(queries**2, dim=0)
        b = nn.functional.normalize(keys**2, dim=1)
        mixed = v + (v @ b.T) @ a / (h * w) ** 0.5
        out: torch.Tensor = self.out(mixed.reshape(c, h, w))
        return out

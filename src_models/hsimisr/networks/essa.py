"""ESSA attention: attention over all pixels at linear cost, blind to the brightness and strength of a spectrum.

ESSAformer (Zhang et al., ICCV 2023): the kernel ``exp(SCC^2)`` of the spectral correlation coefficient of two pixels,
kept to first order of its Taylor series, which splits into a product of features of each.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class EssaAttention(nn.Module):
    """``out = W (v + a (b' v) / sqrt(N))`` over N pixels of C channels.

    Queries and keys lose their mean over the channels, are squared, and are normalised: queries over the channels, keys
    over the pixels. Here they are of one image that tells how alike pixels are, and the values of several.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_key = nn.Conv2d(channels, 2 * channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, guide: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """From features ``(N, C, h, w)`` to the same shape, by the likeness of pixels of a guide ``(1, C, h, w)``."""
        c, h, w = guide.shape[1:]
        q, k = self.query_key(guide).reshape(2, c, h * w)
        queries, keys = (part - part.mean(0, keepdim=True) for part in (q, k))
        a = functional.normalize(queries**2, dim=0)
        b = functional.normalize(keys**2, dim=1)
        v = self.value(x).flatten(2)
        mixed = v + (v @ b.T) @ a / (h * w) ** 0.5
        out: torch.Tensor = self.out(mixed.reshape(x.shape))
        return out

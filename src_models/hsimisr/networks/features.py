"""How a situation is put into numbers of order one that a network takes.

An eigenvector's sign means nothing, so features come in two kinds: odd ones turn with the sign of their eigen-image,
even ones do not know it. What eigen-images tell of one another is even: where detail lies, and how strong it is.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from hsimisr.networks.situation import Situation

LEADING = 4
"""Eigen-images that the network corrects: the strongest, which hold nearly all of the error."""
ODD, EVEN = 2, 4
FRAME_CHANNELS = 6
QUERY_CHANNELS = 3


def odd_features(situation: Situation, image: torch.Tensor) -> torch.Tensor:
    """Features ``(n, ODD, H, W)`` of the n leading eigen-images of an image ``(r, H, W)``.

    Detail in units of the expected error and level in units of the spread, both compressed: edges are many times that.
    """
    leading = image[:LEADING]
    n = len(leading)
    detail = detail_of(leading, situation.canvas.scale) / situation.error[:n, None, None]
    level = (leading - leading.mean((1, 2), keepdim=True)) / situation.spread[:n, None, None]
    return torch.stack([detail, level], 1).asinh()


def even_features(situation: Situation, image: torch.Tensor) -> torch.Tensor:
    """Features ``(n, EVEN, H, W)`` for the n leading eigen-images of an image ``(r, H, W)``.

    The strength of detail over all eigen-images, the contrast that the prior followed, how many frames saw each pixel,
    and how well the eigen-image is known.
    """
    scale, n = situation.canvas.scale, min(len(image), LEADING)
    coverage = torch.kron(situation.observations.coverage.log1p(), image.new_ones(scale, scale))
    shared = torch.stack([energy(situation, image), situation.contrast.log(), coverage])
    known = (situation.error / situation.spread).log()[:n, None, None, None]
    size = image.shape[1:]
    return torch.cat([shared.expand(n, -1, *size), known.expand(-1, -1, *size)], 1)


def frame_features(situation: Situation) -> torch.Tensor:
    """Features ``(K, FRAME_CHANNELS, h, w)`` of the frames.

    How strong what the linear estimate leaves of them is, what they saw, and the sub-pixel phase of the reference's
    pixels in them.
    """
    phase = 2 * torch.pi * situation.positions.permute(0, 3, 1, 2)
    seen = (situation.observations.weight > 0).to(situation.residual.dtype)
    strength = situation.residual.square().mean(1, keepdim=True).log1p()
    return torch.cat([strength, seen, phase.sin(), phase.cos()], 1)


def query_features(situation: Situation) -> torch.Tensor:
    """Features ``(QUERY_CHANNELS, h, w)`` of the linear estimate on the LR grid: those that are even."""
    scale = situation.canvas.scale
    shared = torch.stack([energy(situation, situation.image), situation.contrast.log()])
    coverage = situation.observations.coverage.log1p()[None]
    return torch.cat([functional.avg_pool2d(shared, scale), coverage])


def energy(situation: Situation, image: torch.Tensor) -> torch.Tensor:
    """Logarithm ``(H, W)`` of the detail's strength, summed over all eigen-images ``(r, H, W)``."""
    detail = detail_of(image, situation.canvas.scale) / situation.error[:, None, None]
    return (detail.asinh().square().sum(0) + 1e-6).log()


def detail_of(image: torch.Tensor, scale: int) -> torch.Tensor:
    """What an image ``(r, H, W)`` holds beyond its mean over the LR pixels around."""
    around = functional.avg_pool2d(functional.pad(image, (scale,) * 4, mode="reflect"), 2 * scale + 1, 1)
    return image - around

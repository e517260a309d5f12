"""How a situation is put into numbers of order one that a network takes, any rank up to 16."""

from __future__ import annotations

import torch
from torch.nn import functional

from hsimisr.networks.situation import Situation
from hsimisr.physics.config import MAX_RANK

FOLD = 2
"""The trunk works on the HR grid folded by 2, whatever the scale: one set of weights serves all scales."""
PER_PIXEL = 2 * MAX_RANK + 2
CONSTANT = 2 * MAX_RANK
IMAGE_CHANNELS = PER_PIXEL * FOLD**2 + CONSTANT
FRAME_CHANNELS = MAX_RANK + 5
QUERY_CHANNELS = 2 * MAX_RANK


def padded(values: torch.Tensor) -> torch.Tensor:
    """Eigen-images ``(..., r, h, w)`` with empty ones behind, ``(..., 16, h, w)``."""
    return functional.pad(values, (0, 0, 0, 0, 0, MAX_RANK - values.shape[-3]))


def image_features(situation: Situation, image: torch.Tensor) -> torch.Tensor:
    """Features ``(IMAGE_CHANNELS, h', w')`` of an image ``(r, H, W)`` on the folded grid.

    The image in units of its spread, its detail in units of the expected error (compressed, edges are many times that),
    the local contrast, how many frames saw each pixel, and for each eigen-image spread and error themselves.
    """
    scale = situation.canvas.scale
    detail = torch.asinh(detail_of(image, scale) / situation.error[:, None, None])
    per_pixel = torch.cat(
        [
            padded(image / situation.spread[:, None, None]),
            padded(detail),
            situation.contrast.log()[None],
            torch.kron(situation.observations.coverage.log1p(), image.new_ones(scale, scale))[None],
        ]
    )
    folded = functional.pixel_unshuffle(even(per_pixel), FOLD)
    constants = torch.cat([(situation.error / situation.spread).log(), situation.spread.log()]).reshape(2, -1, 1, 1)
    return torch.cat([folded, padded(constants).flatten(0, 1).expand(-1, *folded.shape[1:])])


def frame_features(situation: Situation) -> torch.Tensor:
    """Features ``(K, FRAME_CHANNELS, h, w)`` of the frames: what the linear estimate leaves of them, where and when.

    The residual in standard deviations, what of it was seen, and the sub-pixel phase of the reference's pixels.
    """
    o = situation.observations
    phase = 2 * torch.pi * situation.positions.permute(0, 3, 1, 2)
    seen = (o.weight > 0).to(situation.residual.dtype)
    return torch.cat([padded(situation.residual), seen, phase.sin(), phase.cos()], 1)


def query_features(situation: Situation) -> torch.Tensor:
    """Features ``(QUERY_CHANNELS, h, w)`` of the linear estimate on the LR grid: its mean and its detail's strength."""
    scale = situation.canvas.scale
    detail = torch.asinh(detail_of(situation.image, scale) / situation.error[:, None, None]).abs()
    parts = [padded(situation.image / situation.spread[:, None, None]), padded(detail)]
    return functional.avg_pool2d(torch.cat(parts), scale)


def detail_of(image: torch.Tensor, scale: int) -> torch.Tensor:
    """What an image ``(r, H, W)`` holds beyond its mean over the LR pixels around."""
    reach = scale
    around = functional.avg_pool2d(functional.pad(image, (reach,) * 4, mode="reflect"), 2 * reach + 1, 1)
    return image - around


def even(image: torch.Tensor) -> torch.Tensor:
    """An image ``(C, H, W)`` with its last row or column repeated where it has an odd number of them."""
    h, w = image.shape[-2:]
    return functional.pad(image, (0, w % FOLD, 0, h % FOLD), mode="replicate") if h % FOLD or w % FOLD else image

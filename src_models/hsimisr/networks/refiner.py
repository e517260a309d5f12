"""The refiner: what edges, texture and spectra tell beyond Gaussian statistics, held to the frames after every stage.

The same trunk is unrolled a few times. Each stage adds a learned residual to the image, in units of its expected error,
then pulls the result back to the frames (see `consistency`). Residual and log-variance heads start at zero, so that an
untrained refiner returns the linear estimate, all but a small pull.

One network corrects every eigen-image, and what it does turns with the eigen-image's sign: a network of all
eigen-images at once has to learn the same for every place and sign, and gains half as much from the same samples. It
works on the HR grid: folded to fewer, deeper pixels it loses most of what it gains (docs/results.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hsimisr.networks.deformable import zeroed
from hsimisr.networks.essa import EssaAttention
from hsimisr.networks.evidence import EvidenceBranch
from hsimisr.networks.features import EVEN, LEADING, ODD, even_features, odd_features
from hsimisr.networks.situation import Situation
from hsimisr.settings import Settings

MODERATE = 2.0
"""Strength t at the start: the refined image counts as e^2 times surer than the prior."""
AROUND = 2
"""LR pixels around the view in which the image is corrected too, so that the frames are predicted up to its border."""
Near = tuple[EllipsisType, slice, slice]
LOG_VARIANCE = (-6.0, 4.0)
"""Limits of the log-variance, relative to the linear estimate's."""
BRANCH = 0.3
"""Weight of what a block adds, which keeps the depth from setting the size of the features."""


class RefinerShape(Settings):
    """The size of a refiner; stored with its weights."""

    kind: Literal["refiner"] = "refiner"
    width: int = 32
    blocks: int = 6
    stages: int = 1
    evidence: int = 8
    groups: int = 4


@dataclass(frozen=True)
class Support:
    """How far a refiner may be trusted where no frame can be held out: what it did on single frames of other scenes.

    Attributes:
        weight: part of its change that was for the better there, 0 to 1.
        gain_db, worst_db: mean and least gain over the linear estimate at that weight.
        situations: how many there were.
    """

    weight: float
    gain_db: float
    worst_db: float
    situations: int


@dataclass(frozen=True, eq=False)
class Refined:
    """Image and variance ``(r, H, W)`` on the canvas, noise units."""

    image: torch.Tensor
    variance: torch.Tensor


@dataclass(frozen=True, eq=False)
class Beginning:
    """What of a refinement does not depend on the last block and all that follows.

    Attributes:
        evidence: of the frames, ``(n, groups, H, W)`` for the n leading eigen-images.
        features: of the first stage before the last block, ``(2 n, width, ...)`` near the view.
    """

    evidence: torch.Tensor
    features: torch.Tensor


class Refiner(nn.Module):
    """From a situation to a refined image, any scale, number of frames and rank.

    Args:
        support: of its weights, where they were examined on single frames.
    """

    def __init__(self, shape: RefinerShape | None = None, support: Support | None = None) -> None:
        super().__init__()
        self.shape = shape or RefinerShape()
        self.support = support
        width, evidence, groups = self.shape.width, self.shape.evidence, self.shape.groups
        self.evidence = EvidenceBranch(evidence, groups)
        self.stem = Stem(ODD + groups, EVEN, width)
        self.stage_bias = nn.Parameter(torch.zeros(self.shape.stages, width))
        self.trunk = nn.Sequential(*(Block(width) for _ in range(self.shape.blocks)))
        self.residual_head, self.variance_head = (
            zeroed(nn.Conv2d(width, 1, 3, padding=1, bias=not odd)) for odd in (True, False)
        )
        self.strength = nn.Parameter(torch.full((self.shape.stages, LEADING), MODERATE))

    def begin(self, situation: Situation) -> Beginning:
        """The part of a refinement that stays as it is while only the last block and the heads learn."""
        evidence = self.evidence(situation)
        return Beginning(evidence, self._features(situation, situation.image, evidence, 0))

    def forward(self, situation: Situation, beginning: Beginning | None = None) -> Refined:
        """Refine one view.

        Args:
            beginning: where it is known already.
        """
        begun = self.begin(situation) if beginning is None else beginning
        image, near = situation.image, _near(situation)
        n = min(len(image), LEADING)
        error, consistency = situation.error[:, None, None], situation.consistency.first(n)
        for stage in range(self.shape.stages):
            x = begun.features if stage == 0 else self._features(situation, image, begun.evidence, stage)
            plus, minus = self.trunk[-1](x).chunk(2)
            leading = image[:n] + error[:n] * _placed(self.residual_head(plus - minus) / 2, near, image[:n])
            # the others stay as they are: a second pull to the same frames would only fit their noise
            image = torch.cat([consistency.step(leading, self.strength[stage, :n]), image[n:]])
        steady = ((plus + minus) / 2).detach()  # the variance's likelihood would drown what the image teaches the trunk
        log_variance = _placed(self.variance_head(steady), near, image).clamp(*LOG_VARIANCE)
        return Refined(image, error**2 * log_variance.exp())

    def _features(self, situation: Situation, image: torch.Tensor, evidence: torch.Tensor, stage: int) -> torch.Tensor:
        near = _near(situation)
        odd = torch.cat([odd_features(situation, image), evidence], 1)[near]
        even = even_features(situation, image)[near]
        # channels last: convolutions of few channels are twice as fast on a CPU
        parts = (part.contiguous(memory_format=torch.channels_last) for part in (odd, even))
        x = self.stem(*parts) + self.stage_bias[stage, :, None, None]
        features: torch.Tensor = self.trunk[:-1](x)
        return features


class Stem(nn.Module):
    """Separable: spatial within each eigen-image, then spectral between them, blind to their signs.

    Oriented filters of each eigen-image, of which the others learn the strength alone: a learned structure tensor of a
    multi-channel image (Di Zenzo, 1986).
    """

    def __init__(self, odd: int, even: int, width: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(odd, width, 3, padding=1, bias=False)
        self.spectral = nn.Conv2d(width, width, 1)
        self.even = nn.Conv2d(even, width, 3, padding=1)

    def forward(self, odd: torch.Tensor, even: torch.Tensor) -> torch.Tensor:
        """Features ``(2 n, width, H, W)`` of n eigen-images, then of the same with turned signs."""
        turning = self.spatial(odd)
        steady = self.even(even) + self.spectral(turning.abs().mean(0, keepdim=True))
        return torch.cat([steady + turning, steady - turning])


class Block(nn.Module):
    """A residual block that also sees the mean of all eigen-images and signs, then spectral-spatial attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1)
        self.spectral = nn.Conv2d(width, width, 1)
        self.contract = nn.Conv2d(width, width, 3, padding=1)
        self.attention = EssaAttention(width)
        zeroed(self.attention.out)  # what it says is nearly the same everywhere until it is trained

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(N, width, H, W)`` to the same shape."""
        everything = x.mean(0, keepdim=True)
        inner = functional.gelu(self.spatial(x) + self.spectral(everything))
        out = torch.add(x, self.contract(inner), alpha=BRANCH)
        return torch.add(out, self.attention(everything, x), alpha=BRANCH)


def _near(situation: Situation) -> Near:
    return (..., *situation.canvas.slices_around(AROUND))


def _placed(found: torch.Tensor, near: Near, image: torch.Tensor) -> torch.Tensor:
    """A map ``(n, 1, ...)`` of the leading eigen-images near the view in its place in an image; 0 everywhere else."""
    out = torch.zeros_like(image)
    out[: len(found)][near] = found[:, 0].to(out.dtype)
    return out

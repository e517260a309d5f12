"""The learned stages of a tile, one after another: each improves an image, and tells how far to trust what it made."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch

from hsimisr.diffusion.config import SAMPLE, SamplerConfig
from hsimisr.diffusion.sample import diffuse
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.denoiser import Denoiser
from hsimisr.networks.refiner import Refiner, Support
from hsimisr.networks.situation import Situation
from hsimisr.physics.types import Subspace

OnImage = Callable[[torch.Tensor], None]
"""Told an image ``(r, H, W)``."""
NO_GATE = "the gate is switched off"
NO_JUDGE = "no frame could be held out: the estimate before is kept"
A_SAMPLE = "a sample shows one scene that agrees with the frames, of many: it is not judged, and not for measurement"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a stage made.

    Attributes:
        image: ``(r, H, W)`` of the canvas, noise units.
        variance: of the view, from that of the stage before and that of the linear estimate, all ``(r, H, W)``.
    """

    image: torch.Tensor
    variance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Stage(Protocol):
    """A learned stage.

    `open_because` says why no frame decides over it, None where held-out frames do; `unjudged` is its weight, and why,
    where no frame can be held out.
    """

    name: str

    @property
    def method(self) -> str: ...

    @property
    def open_because(self) -> str | None: ...

    @property
    def unjudged(self) -> tuple[float, str]: ...

    def __call__(
        self, situation: Situation, estimate: torch.Tensor, subspace: Subspace, on_image: OnImage, /
    ) -> Outcome:
        """Improve an image ``(r, H, W)`` of the canvas; `on_image` is told what it has after each step."""
        ...

    def on(self, device: torch.device) -> Self:
        """The same on another device."""
        ...


@dataclass(frozen=True, eq=False)
class RefinerStage:
    """The refiner; it begins from the situation's linear estimate."""

    refiner: Refiner
    config: RefinerConfig
    name = "refine"

    @property
    def method(self) -> str:
        return self.config.method

    @property
    def open_because(self) -> str | None:
        return None if self.config.gate else NO_GATE

    @property
    def unjudged(self) -> tuple[float, str]:
        return _supported(self.refiner.support)

    def __call__(
        self, situation: Situation, _estimate: torch.Tensor, _subspace: Subspace, _on_image: OnImage, /
    ) -> Outcome:
        refined = self.refiner(situation)
        view = (slice(None), *situation.canvas.view_slices)
        return Outcome(refined.image, lambda _before, _linear: refined.variance[view])

    def on(self, device: torch.device) -> Self:
        return replace(self, refiner=copy.deepcopy(self.refiner).to(device))


@dataclass(frozen=True, eq=False)
class DiffusionStage:
    """The diffusion; `seed` sets its random numbers, which tiles share where they overlap."""

    denoiser: Denoiser
    config: SamplerConfig
    seed: int
    name = "diffuse"

    @property
    def method(self) -> str:
        return f"{self.config.method} {self.config.product}"

    @property
    def open_because(self) -> str | None:
        if self.config.product == SAMPLE:
            return A_SAMPLE
        return None if self.config.gate else NO_GATE

    @property
    def unjudged(self) -> tuple[float, str]:
        return 0.0, NO_JUDGE

    def __call__(
        self, situation: Situation, estimate: torch.Tensor, subspace: Subspace, on_image: OnImage, /
    ) -> Outcome:
        canvas = situation.canvas
        made = diffuse(situation, estimate, subspace, self.denoiser, self.config, self.seed, on_image)
        spread, share = made.spread[(slice(None), *canvas.view_slices)], made.share
        own = share**2 if self.config.product == SAMPLE else 0.0
        return Outcome(made.image, lambda before, linear: before + spread + own * linear)

    def on(self, device: torch.device) -> Self:
        return replace(self, denoiser=copy.deepcopy(self.denoiser).to(device))


def _supported(support: Support | None) -> tuple[float, str]:
    """Weight of a refiner, and why, where no frame can be held out: what its weights are known to do elsewhere."""
    if support is None or support.weight == 0:
        return 0.0, NO_JUDGE
    return support.weight, (
        f"no frame could be held out; on {support.situations} single frames of other scenes {support.weight:.0%} of "
        f"the change gained {support.gain_db:+.2f} dB on average, {support.worst_db:+.2f} dB at worst"
    )

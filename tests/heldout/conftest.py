"""Scenes drawn from their own prior, seen by a few frames: everything about them is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.inversion.prior import power_law, radial_frequencies
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum


@dataclass(frozen=True, eq=False)
class Laboratory:
    """Scenes of one kind, and frames of them that cover the whole periodic canvas, noise of unit variance."""

    canvas: Canvas
    operator: ShiftOperator
    prior: PowerSpectrum
    closed_forms: dict = field(default_factory=dict)

    @property
    def rank(self) -> int:
        return len(self.prior.power)

    @property
    def frames(self) -> int:
        return len(self.operator.shifts)

    def scene(self, rng: np.random.Generator, contrast: torch.Tensor | None = None) -> torch.Tensor:
        """The spectrum of a scene that obeys the prior."""
        white = torch.from_numpy(rng.standard_normal((self.rank, *self.canvas.hr_shape))).float()
        if contrast is not None:
            white = white * contrast.sqrt()
        return self.canvas.to_spectrum(white) / self._precision().sqrt()

    def observe(self, scene: torch.Tensor, rng: np.random.Generator) -> Observations:
        clean = self.operator.forward(scene)
        noise = torch.from_numpy(rng.standard_normal(clean.shape)).float()
        ones = torch.ones(self.frames, self.rank)
        return Observations(self.operator, clean + noise, torch.ones(self.frames, 1, *self.canvas.shape), ones)

    def estimate(self, observations: Observations, held: Sequence[int], trust: float = 1.0) -> torch.Tensor:
        """The exact LMMSE of the frames that are not held out; a `trust` other than 1 misjudges their noise."""
        return self._closed(held, trust).apply(self._pull(observations.data, held, trust))

    def null_field(self, rng: np.random.Generator, held: Sequence[int]) -> torch.Tensor:
        """The part of a scene that frames not held out can't see."""
        scene, sharp = self.scene(rng), 1e3
        return scene - self._closed(held, sharp).apply(self._pull(self.operator.forward(scene), held, sharp))

    def _pull(self, frames: torch.Tensor, held: Sequence[int], trust: float) -> torch.Tensor:
        return self.operator.adjoint(self._trust(held, trust)[:, :, None, None] * frames)

    def _trust(self, held: Sequence[int], trust: float) -> torch.Tensor:
        weight = torch.full((self.frames, self.rank), trust)
        weight[list(held)] = 0
        return weight

    def _closed(self, held: Sequence[int], trust: float) -> ClosedForm:
        key = (*held, trust)
        if key not in self.closed_forms:
            self.closed_forms[key] = ClosedForm.build(
                self.canvas, self.operator.phases, self._trust(held, trust), self._precision()
            )
        return self.closed_forms[key]

    def _precision(self) -> torch.Tensor:
        return prior_precision(self.prior, self.canvas, torch.device("cpu"))


@pytest.fixture(scope="session")
def laboratory():
    """Make a laboratory: LR `side` of the view, `scale`, number of `frames` and variance of each eigen-image."""

    def make(side=64, scale=2, frames=5, variances=(400.0, 60.0, 5.0), seed=0) -> Laboratory:
        canvas = Canvas.around(View.whole((side, side)), 4, scale)
        shifts = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, 2))
        operator = ShiftOperator(canvas, Psf.parse("mtf:0.29"), shifts, torch.device("cpu"))
        frequency = radial_frequencies(scale, (side, side))
        return Laboratory(canvas, operator, power_law(np.full(len(variances), 2.8), np.array(variances), frequency))

    return make


@pytest.fixture(scope="session")
def solved():
    """Solve for the frames that are not held out, whatever is masked and however they move."""

    def solve(observations: Observations, held: Sequence[int], prior: PowerSpectrum, contrast=None) -> torch.Tensor:
        for k in held:
            observations = observations.without(k)
        equations = NormalEquations.build(observations, prior)
        if contrast is not None:
            equations = equations.with_contrast(contrast)
        return conjugate_gradients(equations, 200, 1e-5)[0]

    return solve


@pytest.fixture(scope="session")
def masked():
    """Take pixels ``(K, h, w)`` out of the observations."""

    def mask(observations: Observations, hidden: torch.Tensor) -> Observations:
        seen = (~hidden)[:, None].float()
        return replace(observations, weight=observations.weight * seen, data=observations.data * seen)

    return mask

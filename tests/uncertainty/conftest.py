"""Stationary scenes drawn from their prior, and frames that see the whole periodic canvas: everything is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.inversion.prior import power_law, radial_frequencies
from hsimisr.inversion.variance import Posterior, detail_share, posterior_of
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

SHAPE, MARGIN, SCALE = (48, 48), 4, 2
VARIANCE = np.array([4000.0, 200.0])
CPU = torch.device("cpu")
PSF = Psf.parse("mtf:0.29")


@dataclass(frozen=True, eq=False)
class World:
    """Scenes of two eigen-images under one prior."""

    canvas: Canvas
    prior: PowerSpectrum

    @property
    def precision(self) -> torch.Tensor:
        return prior_precision(self.prior, self.canvas, CPU)

    def scene(self, rng: np.random.Generator) -> torch.Tensor:
        """A spectrum that obeys the prior."""
        white = torch.from_numpy(rng.standard_normal((len(VARIANCE), *self.canvas.hr_shape))).float()
        return self.canvas.to_spectrum(white) / self.precision.sqrt()

    def observe(self, scene: torch.Tensor, count: int, rng: np.random.Generator) -> Observations:
        """Frames of a scene at random shifts, noise of unit variance."""
        operator = ShiftOperator(self.canvas, PSF, rng.uniform(-0.5, 0.5, (count, 2)), CPU)
        clean = operator.forward(scene)
        noise = torch.from_numpy(rng.standard_normal(clean.shape)).float()
        ones = torch.ones(count, 1, *self.canvas.shape)
        return Observations(operator, clean + noise, ones, torch.ones(clean.shape[:2]))

    def estimate(self, o: Observations) -> torch.Tensor:
        """The exact LMMSE."""
        closed = ClosedForm.build(self.canvas, o.operator.phases, o.trust, self.precision)
        return closed.apply(o.operator.adjoint(o.precision * o.data))

    def posterior(self, o: Observations) -> Posterior:
        return posterior_of(o, self.prior, PSF, np.ones(len(VARIANCE)))

    def detail(self, spectrum: torch.Tensor) -> np.ndarray:
        """What a spectrum shows of the view beyond the Nyquist frequency of the frames."""
        kept = torch.from_numpy(detail_share(self.canvas)).float().sqrt()
        return self.canvas.to_image(spectrum * kept)[(slice(None), *self.canvas.view_slices)].numpy()


@pytest.fixture(scope="session")
def world() -> World:
    prior = power_law(np.full(2, 2.4), VARIANCE, radial_frequencies(SCALE, SHAPE))
    return World(Canvas.around(View.whole(SHAPE), MARGIN, SCALE), prior)


@pytest.fixture(scope="session")
def some_of():
    """Observations as if only some of the frames had been taken."""

    def some_of(o: Observations, kept) -> Observations:
        for k in set(range(len(o.data))) - set(kept):
            o = o.without(k)
        return o

    return some_of

"""The Gaussian posterior that a diffusion is built around: what frames and a Gaussian prior leave open of a scene.

A deviation d of the scene from an estimate is Gaussian with precision ``H = A'WA + Q``. Noise of standard deviation s
on it (s in units of the expected error e of each eigen-image) leaves ``d | d + s e n`` Gaussian again, with precision
``H + 1 / (s e)^2``: its mean is the exact denoiser, and a draw of it is found by perturbing the right side of the same
equations (perturb and optimise; Papandreou and Yuille, NIPS 2010; Orieux et al., IEEE TIP 21(9), 2012). Both hold for
any motion, mask and local contrast, and there is no step to be chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from hsimisr.diffusion.noise import Noise
from hsimisr.inversion.closed_form import ClosedForm
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.networks.features import LEADING
from hsimisr.networks.situation import Situation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations

STEPS, TOLERANCE = 40, 3e-3
"""Most steps of the solver, and the part of the residual at which it stops."""


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    """The posterior of the n leading eigen-images of one view on its canvas.

    Attributes:
        precision: of the prior, Q before the contrast ``(n, s*s, h, w//2+1)``.
        contrast: map ``(H, W)`` that modulates the prior to ``Q^(1/2) diag(1 / v) Q^(1/2)``.
        error: expected error ``(n,)``, the unit of noise levels.
    """

    observations: Observations
    precision: torch.Tensor
    contrast: torch.Tensor
    error: torch.Tensor
    _equations: dict[float, _Ridged] = field(default_factory=dict)

    @classmethod
    def of(cls, situation: Situation, kept: int = LEADING) -> GaussianPosterior:
        """Of the first `kept` eigen-images of a situation."""
        first = situation.consistency.first(kept)
        return cls(first.observations, first.precision, situation.contrast, situation.error[:kept])

    @property
    def canvas(self) -> Canvas:
        return self.observations.canvas

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """The precision H times images ``(n, H, W)``."""
        equations = self._at(math.inf)
        return self.canvas.to_image(equations.apply(self.canvas.to_spectrum(images)))

    def denoise(self, noisy: torch.Tensor, level: float) -> torch.Tensor:
        """The expected deviation ``(n, H, W)`` given a noisy one, noise units; 0 without any, at an infinite level."""
        equations = self._at(level)
        return self._solved(equations, equations.ridge * self.canvas.to_spectrum(noisy))

    def draw(self, level: float, noise: Noise) -> torch.Tensor:
        """A draw ``(n, H, W)`` of what a noisy deviation leaves open, to be added to the denoised one.

        Args:
            level: of the noise; infinite for a draw from the whole posterior.
            noise: random numbers.
        """
        equations, o, canvas = self._at(level), self.observations, self.canvas
        image = self.error.new_empty((len(self.error), *canvas.hr_shape))
        data = noise.white(o.data) * o.precision.sqrt()
        prior = canvas.to_spectrum(noise.white(image) / self.contrast.sqrt())
        right = o.operator.adjoint(data) + self.precision.sqrt() * prior
        return self._solved(equations, right + equations.ridge.sqrt() * canvas.to_spectrum(noise.white(image)))

    def let_through(self, change: torch.Tensor) -> torch.Tensor:
        """What the frames let through of a change ``(n, H, W)`` of an estimate that agrees with them.

        The exact data-consistency step ``argmin |A x|^2_W + |x - change|^2_Q``.
        """
        equations = self._at(math.inf)
        return self._solved(equations, equations.regularise(self.canvas.to_spectrum(change)))

    def fitted(self, noise: Noise) -> float:
        """Share of the frames' data whose noise the best estimate follows, ``tr(A C A' W) / N``, from one draw."""
        o = self.observations
        seen = o.operator.forward(self.canvas.to_spectrum(self.draw(math.inf, noise)))
        return float((o.precision * seen**2).sum() / ((o.weight > 0).sum() * len(self.error)))

    def _solved(self, equations: _Ridged, right_side: torch.Tensor) -> torch.Tensor:
        whole = replace(equations, right_side=right_side)
        start = equations.preconditioner.apply(right_side)
        spectrum, _ = conjugate_gradients(whole, STEPS, TOLERANCE, start)
        return self.canvas.to_image(spectrum)

    def _at(self, level: float) -> _Ridged:
        """The equations at a noise level; the last ones are kept, as samples share their levels."""
        if level not in self._equations:
            self._equations[level] = _Ridged.around(self, level)
        return self._equations[level]


@dataclass(frozen=True, eq=False)
class _Ridged(NormalEquations):
    """``H + ridge``; `ridge` ``(n, 1, 1, 1)`` is the inverse variance of the noise."""

    ridge: torch.Tensor = field(kw_only=True)

    @classmethod
    def around(cls, posterior: GaussianPosterior, level: float) -> _Ridged:
        """For a noise level, units of the expected error."""
        o = posterior.observations
        ridge = ((level * posterior.error) ** -2)[:, None, None, None]
        strength = (-posterior.contrast.log().mean()).exp()
        near = ClosedForm.build(
            o.canvas, o.operator.phases, o.trust, posterior.precision * strength + ridge, o.operator.uniform
        )
        return cls(o, posterior.precision, near, near, torch.zeros(0), posterior.contrast, ridge=ridge)

    def apply(self, spectrum: torch.Tensor) -> torch.Tensor:
        return super().apply(spectrum) + self.ridge * spectrum

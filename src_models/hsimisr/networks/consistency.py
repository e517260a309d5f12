"""The data-consistency step: pull an image back to what the frames say, as strongly as they know better than it.

With the refined image z as prior mean, the posterior mean is ``z + (A'WA + e^t Q)^-1 A'W (y - A z)``: t is how much
surer than the scene's prior Q the refined image is, learned for each eigen-image. Where frames move by pure shifts the
inverse is known in closed form, borders apart; elsewhere it is solved for, and its gradient by the same solution once
more, for what backpropagation through truncated conjugate gradients gives blows up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from hsimisr.inversion.closed_form import ClosedForm, data_blocks
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.observations import Observations

STEPS, TOLERANCE = 30, 1e-2
"""Most steps of the solver where there is no closed form, and the part of the residual at which it stops."""


@dataclass(frozen=True, eq=False)
class Consistency(ABC):
    """The step for one set of observations, for any strength.

    Attributes:
        precision: of the scene's prior, Q ``(r, s*s, h, w//2+1)``.
    """

    observations: Observations
    precision: torch.Tensor

    @staticmethod
    def of(equations: NormalEquations) -> Consistency:
        """For the frames and the stationary prior of some normal equations."""
        kind = ClosedConsistency if equations.observations.operator.uniform else SolvedConsistency
        return kind.under(equations.observations, equations.precision)

    def step(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """The image ``(r, H, W)`` pulled towards the frames; differentiable in both arguments.

        Args:
            strength: t ``(r,)``, natural logarithm.
        """
        with torch.autocast(image.device.type, enabled=False):  # physics stays exact where networks are not
            pull: torch.Tensor = _Pull.apply(image, self.observations)  # type: ignore[no-untyped-call]
            return image + self.posterior(pull, strength)

    @abstractmethod
    def posterior(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """``(A'WA + e^t Q)^-1`` applied to images ``(r, H, W)``."""

    @abstractmethod
    def first(self, kept: int) -> Self:
        """The step for the first eigen-images alone."""


@dataclass(frozen=True, eq=False)
class ClosedConsistency(Consistency):
    """Pure shifts: ``Q^-1/2 A'WA Q^-1/2 = U diag(gain) U^H`` in every alias group; a strength changes a diagonal.

    Attributes:
        basis: ``Q^-1/2 U``, ``(r, L, s*s, s*s)``.
        gain: ``(r, L, s*s)``, how much the frames know of each combination of frequencies, in units of the prior.
    """

    basis: torch.Tensor
    gain: torch.Tensor

    @classmethod
    def under(cls, o: Observations, precision: torch.Tensor) -> ClosedConsistency:
        """Under a prior precision ``(r, s*s, h, w//2+1)``."""
        blocks = data_blocks(o.operator.phases, o.trust.to(o.operator.phases.dtype))
        root = _columns(precision).rsqrt()
        scaled = root[..., :, None] * blocks * root[..., None, :]
        gain, vectors = torch.linalg.eigh(scaled.to(torch.complex128))  # single precision fails on repeated zeros
        basis = root[..., :, None] * vectors.to(blocks.dtype)
        return cls(o, precision, basis, gain.clamp_min(0).to(root.dtype))

    def posterior(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        canvas = self.observations.canvas
        spectrum = canvas.to_spectrum(image)
        inner = (self.basis.mH @ _columns(spectrum)[..., None])[..., 0] / (self.gain + strength.exp()[:, None, None])
        solved = (self.basis @ inner[..., None])[..., 0]
        return canvas.to_image(solved.transpose(1, 2).reshape(spectrum.shape))

    def first(self, kept: int) -> Self:
        o, precision = self.observations.first(kept), self.precision[:kept]
        return replace(self, observations=o, precision=precision, basis=self.basis[:kept], gain=self.gain[:kept])


@dataclass(frozen=True, eq=False)
class SolvedConsistency(Consistency):
    """Any motion: conjugate gradients, preconditioned by the frames' power alone.

    Attributes:
        power: diagonal of A'WA in orthonormal Fourier coordinates, ``(r, L, s*s)``.
    """

    power: torch.Tensor

    @classmethod
    def under(cls, o: Observations, precision: torch.Tensor) -> SolvedConsistency:
        """Under a prior precision ``(r, s*s, h, w//2+1)``."""
        blocks = data_blocks(o.operator.phases, o.trust.to(o.operator.phases.dtype))
        return cls(o, precision, blocks.diagonal(dim1=-2, dim2=-1).real)

    def posterior(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        solved: torch.Tensor = _Solve.apply(image, strength, self)  # type: ignore[no-untyped-call]
        return solved

    def first(self, kept: int) -> Self:
        return replace(
            self, observations=self.observations.first(kept), precision=self.precision[:kept], power=self.power[:kept]
        )

    def solve(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """`posterior` without a gradient."""
        o, canvas = self.observations, self.observations.canvas
        precision = self.precision * strength.exp()[:, None, None, None]
        covariance = torch.diag_embed(1 / (self.power + _columns(precision))).to(torch.complex64)
        near = ClosedForm(canvas, covariance, torch.zeros(len(image), device=image.device))
        equations = NormalEquations(o, precision, near, near, canvas.to_spectrum(image))
        spectrum, _ = conjugate_gradients(equations, STEPS, TOLERANCE, near.apply(equations.right_side))
        return canvas.to_image(spectrum)


def _columns(spectrum: torch.Tensor) -> torch.Tensor:
    """A spectrum ``(r, s*s, h, w//2+1)`` by alias group ``(r, L, s*s)``."""
    return spectrum.flatten(2).transpose(1, 2)


def observe(image: torch.Tensor, observations: Observations) -> torch.Tensor:
    """Frames ``(K, r, h, w)`` of an image ``(r, H, W)``; differentiable whatever the operator is made of."""
    frames: torch.Tensor = _Observe.apply(image, observations)  # type: ignore[no-untyped-call]
    return frames


class _Observe(torch.autograd.Function):
    """A, with its exact adjoint for the gradient."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, observations: Observations) -> torch.Tensor:
        ctx.observations = observations
        return observations.operator.forward(observations.canvas.to_spectrum(image))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        o = ctx.observations
        return o.canvas.to_image(o.operator.adjoint(gradient)), None


class _Pull(torch.autograd.Function):
    """``A'W (y - A x)`` in image space; its linear part is symmetric."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, observations: Observations) -> torch.Tensor:
        ctx.observations = observations
        o = observations
        error = o.data - o.operator.forward(o.canvas.to_spectrum(image))
        return o.canvas.to_image(o.operator.adjoint(o.precision * error))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        o = ctx.observations
        seen = o.operator.forward(o.canvas.to_spectrum(gradient))
        return -o.canvas.to_image(o.operator.adjoint(o.precision * seen)), None


class _Solve(torch.autograd.Function):
    """``u = (A'WA + e^t Q)^-1 p``, so ``du = (A'WA + e^t Q)^-1 (dp - e^t Q u dt)`` (implicit function theorem)."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, strength: torch.Tensor, step: SolvedConsistency) -> torch.Tensor:
        solved = step.solve(image, strength)
        ctx.step = step
        ctx.save_for_backward(solved, strength)
        return solved

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        solved, strength = ctx.saved_tensors
        step: SolvedConsistency = ctx.step
        canvas = step.observations.canvas
        back = step.solve(gradient.contiguous(), strength)
        regularised = canvas.to_image(step.precision * canvas.to_spectrum(solved))
        return back, -strength.exp() * (back * regularised).sum((1, 2)), None

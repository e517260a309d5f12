"""Conjugate gradients for the LMMSE on the canvas, any motion and any mask, preconditioned by the closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import PowerSpectrum


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """``(A' W A + Q) x = A' W y`` of one set of observations under one prior.

    Attributes:
        precision: prior precision Q ``(r, s*s, h, w//2+1)``.
        closed_form: the inverse where nothing is masked and all frames move by pure shifts; where they move otherwise,
            what the inverse is like around the middle of the view.
        preconditioner: the closed form, or where motion varies over the frame one that leaves the phases between
            aliases out: as good everywhere, while that of the middle misleads at the borders.
        right_side: what the solution is pulled to; ``A' W y`` for a zero prior mean.
        contrast: map v ``(H, W)`` that modulates the prior to ``Q^(1/2) diag(1 / v) Q^(1/2)``, or None.
    """

    observations: Observations
    precision: torch.Tensor
    closed_form: ClosedForm
    preconditioner: ClosedForm
    right_side: torch.Tensor
    contrast: torch.Tensor | None = None

    @classmethod
    def build(cls, observations: Observations, prior: PowerSpectrum) -> NormalEquations:
        return cls.under(observations, prior_precision(prior, observations.canvas, observations.data.device))

    @classmethod
    def under(
        cls, observations: Observations, precision: torch.Tensor, contrast: torch.Tensor | None = None
    ) -> NormalEquations:
        """For a prior precision ``(r, s*s, h, w//2+1)`` and the contrast map that it follows, if any."""
        o = observations
        closed, preconditioner = _inverses(o, precision, contrast)
        return cls(o, precision, closed, preconditioner, o.operator.adjoint(o.precision * o.data), contrast)

    def with_contrast(self, contrast: torch.Tensor) -> NormalEquations:
        """The same data under a prior that follows a contrast map."""
        closed, preconditioner = _inverses(self.observations, self.precision, contrast)
        return replace(self, closed_form=closed, preconditioner=preconditioner, contrast=contrast)

    def start(self) -> torch.Tensor:
        """The closed-form solution of the filled frames: close to the solution except near what was not measured."""
        o = self.observations.filled()
        return self.preconditioner.apply(o.operator.adjoint(o.precision * o.data))

    def apply(self, spectrum: torch.Tensor) -> torch.Tensor:
        o = self.observations
        return o.operator.adjoint(o.precision * o.operator.forward(spectrum)) + self.regularise(spectrum)

    def regularise(self, spectrum: torch.Tensor) -> torch.Tensor:
        """The prior precision times a spectrum."""
        if self.contrast is None:
            return self.precision * spectrum
        canvas, root = self.observations.canvas, self.precision.sqrt()
        return root * canvas.to_spectrum(canvas.to_image(root * spectrum) / self.contrast)

    def objective(self, spectrum: torch.Tensor) -> float:
        """``sum W (y - A x)^2 + x' Q x``, which the solution minimises."""
        o = self.observations
        error = o.data - o.operator.forward(spectrum)
        fit = float((o.precision * error**2).sum(dtype=torch.float64))
        return fit + float(o.canvas.dot(spectrum, self.regularise(spectrum)).sum())


def _inverses(
    observations: Observations, precision: torch.Tensor, contrast: torch.Tensor | None = None
) -> tuple[ClosedForm, ClosedForm]:
    """The closed form and the preconditioner under a stationary prior, of a contrast map by its geometric mean."""
    if contrast is not None:
        precision = precision * float((-contrast.log().mean()).exp())
    operator, trust = observations.operator, observations.trust
    closed = ClosedForm.build(operator.canvas, operator.phases, trust, precision)
    if operator.uniform:
        return closed, closed
    return closed, ClosedForm.build(operator.canvas, operator.phases, trust, precision, uniform=False)


def conjugate_gradients(
    equations: NormalEquations,
    iterations: int,
    tolerance: float,
    start: torch.Tensor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> tuple[torch.Tensor, int]:
    """Solve the normal equations, each eigen-image with its own step length.

    Args:
        iterations: most steps taken.
        tolerance: stop when every eigen-image's preconditioned residual norm fell below this part of the
            right side's.
        start: spectrum to start from, or None for the closed form.
        on_step: called before each step with its number; may raise to stop.

    Returns:
        The spectrum and the number of steps.
    """
    dot = equations.observations.canvas.dot
    right = equations.right_side
    target = dot(right, equations.preconditioner.apply(right)) * tolerance**2
    x = equations.start() if start is None else start
    residual = right - equations.apply(x)
    z = equations.preconditioner.apply(residual)
    direction = z
    rz = dot(residual, z)
    for step in range(iterations):
        moving = rz > target  # an image that has arrived rests: rounding would drive it away again
        if not bool(moving.any()):
            return x, step
        if on_step is not None:
            on_step(step)
        product = equations.apply(direction)
        alpha = _image_factor(moving * rz / dot(direction, product).clamp_min(1e-300))
        x = x + alpha * direction
        residual = residual - alpha * product
        z = equations.preconditioner.apply(residual)
        rz_next = dot(residual, z)
        direction = z + _image_factor(rz_next / rz.clamp_min(1e-300)) * direction
        rz = rz_next
    return x, iterations


def _image_factor(value: torch.Tensor) -> torch.Tensor:
    return value.float()[:, None, None, None]

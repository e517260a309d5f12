"""Image and shifts refined together: variable projection on the canvas, right at the borders.

One conjugate-gradient run solves the coupled Gauss-Newton system of the image and all shifts,
``[A'WA + Q, A'WJ; J'WA, J'WJ + damping]``, so the shifts are matched to the SR image instead of to an aliased frame
(pairwise registration cannot reach the Cramer-Rao bound, joint estimation can: Clement et al., arXiv 1809.05583).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.types import PowerSpectrum

Float64 = npt.NDArray[np.float64]
LARGEST_STEP = 0.3
ENOUGH = 2e-4
"""LR pixels: the longest shift step allowed, and the one at which the iteration ends."""


@dataclass(frozen=True, eq=False)
class JointShifts:
    """Shifts ``(K, 2)`` relative to the start, their covariance ``(K, 2, 2)``, and the steps accepted."""

    change: Float64
    covariance: Float64
    steps: int


def refine_shifts(
    observations: Observations,
    prior: PowerSpectrum,
    shifts: Float64,
    reference: int,
    steps: int,
    on_step: Callable[[int], None] | None = None,
) -> JointShifts:
    """Refine the fractional shifts of frames on a canvas.

    Args:
        observations: frames with a `ShiftOperator` at `shifts`.
        shifts: ``(K, 2)`` fractional shifts on the canvas, LR pixels.
        reference: the frame that stays where it is.
        on_step: called before each step; may raise to stop.
    """
    share = _covered_share(observations)
    equations = NormalEquations.build(observations, prior)
    image, _ = conjugate_gradients(equations, 30, 1e-2)
    value = _misfit(equations, image, share)
    current = shifts.copy()
    damping, accepted = 1e-2, 0
    for step in range(steps):
        if on_step is not None:
            on_step(step)
        update, move = _coupled_step(equations, image, reference, damping, share)
        longest = float(np.abs(move).max())
        trial = current + move * min(1.0, LARGEST_STEP / max(longest, 1e-12))
        moved = _at(observations, trial)
        next_equations = NormalEquations.build(moved, prior)
        next_value = _misfit(next_equations, image + update, share)
        if next_value < value:
            current, image, equations, value = trial, image + update, next_equations, next_value
            damping, accepted = max(damping / 10, 1e-6), accepted + 1
            if longest < ENOUGH:
                break
        else:
            damping *= 10
            if longest < ENOUGH / 10:
                break
    return JointShifts(current - shifts, _covariance(equations, image, reference, share), accepted)


def _covered_share(observations: Observations) -> float:
    """Part of the canvas that the frames measured: how much of the closed form's log determinant is real."""
    weight = observations.weight
    return float((weight / weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)).mean())


def _misfit(equations: NormalEquations, image: torch.Tensor, share: float) -> float:
    """Minus twice the log marginal likelihood of the shifts, the HR image integrated out."""
    return equations.objective(image) + share * float(equations.closed_form.log_determinant.sum())


def _at(observations: Observations, shifts: Float64) -> Observations:
    operator = observations.operator
    assert isinstance(operator, ShiftOperator)
    return replace(
        observations, operator=ShiftOperator(operator.canvas, operator.psf, shifts, observations.data.device)
    )


def _jacobian(equations: NormalEquations, image: torch.Tensor, reference: int) -> torch.Tensor:
    """Derivative of the frames with respect to their shifts ``(K, 2, r, h, w)``; zero for the reference."""
    operator = equations.observations.operator
    assert isinstance(operator, ShiftOperator)
    jacobian = operator.derivative(image)
    jacobian[reference] = 0
    return jacobian


def _coupled_step(
    equations: NormalEquations,
    image: torch.Tensor,
    reference: int,
    damping: float,
    share: float,
    iterations: int = 40,
) -> tuple[torch.Tensor, Float64]:
    """One Levenberg-Marquardt step of image and shifts, by conjugate gradients on both together."""
    o = equations.observations
    dot = o.canvas.dot
    weight = o.precision
    error = o.data - o.operator.forward(image)
    jacobian = _jacobian(equations, image, reference)
    weighted = jacobian * weight[:, None]
    hessian = torch.einsum("kachw,kbchw->kab", weighted, jacobian).double()
    hessian[reference] = torch.eye(2, dtype=torch.float64, device=hessian.device)
    damped = hessian + damping * torch.diag_embed(hessian.diagonal(dim1=1, dim2=2))
    inverse = hermitian_inverse(damped)
    shift_part = damped - hessian

    def apply(u: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        change = o.operator.forward(u) + torch.einsum("ka,kachw->kchw", d.float(), jacobian)
        gradient = torch.einsum("kachw,kchw->ka", weighted, change).double()
        gradient = gradient + torch.einsum("kab,kb->ka", shift_part, d)
        gradient[reference] += d[reference]
        return o.operator.adjoint(weight * change) + equations.precision * u, gradient

    def product(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return dot(a[0], b[0]).sum() + (a[1] * b[1]).sum()

    volume = equations.closed_form.shift_slope(o.operator.phases, o.trust).sum(-1)
    volume[reference] = 0
    residual = (
        o.operator.adjoint(weight * error) - equations.precision * image,
        torch.einsum("kachw,kchw->ka", weighted, error).double() - share / 2 * volume,
    )
    x = torch.zeros_like(image), torch.zeros_like(residual[1])
    z = equations.closed_form.apply(residual[0]), torch.einsum("kab,kb->ka", inverse, residual[1])
    direction, rz = z, product(residual, z)
    first = rz
    for _ in range(iterations):
        if not bool(rz > 1e-6 * first):
            break
        image_of = apply(*direction)
        alpha = rz / product(direction, image_of)
        step = float(alpha)
        x = x[0] + step * direction[0], x[1] + step * direction[1]
        residual = residual[0] - step * image_of[0], residual[1] - step * image_of[1]
        z = equations.closed_form.apply(residual[0]), torch.einsum("kab,kb->ka", inverse, residual[1])
        rz_next = product(residual, z)
        beta = float(rz_next / rz)
        direction, rz = (z[0] + beta * direction[0], z[1] + beta * direction[1]), rz_next
    return x[0], x[1].cpu().numpy()


def _covariance(equations: NormalEquations, image: torch.Tensor, reference: int, share: float) -> Float64:
    """Covariance ``(K, 2, 2)`` of the shifts with the scene unknown.

    The inverse Schur complement of the joint Hessian, made larger where the eigen-images disagree about a frame's
    shift by more than it says (the sandwich estimate, with eigen-images as clusters; White, Econometrica 50(1), 1982).
    """
    o = equations.observations
    jacobian = _jacobian(equations, image, reference)
    k, r = len(jacobian), jacobian.shape[2]
    weighted = jacobian * o.precision[:, None]
    full = torch.block_diag(*torch.einsum("kachw,kbchw->kab", weighted, jacobian).double())
    assert isinstance(o.operator, ShiftOperator)
    seen = [o.operator.adjoint_of(n // 2, weighted[n // 2, n % 2]) for n in range(2 * k)]
    root = (torch.from_numpy(o.canvas.half_weight).to(full.device) / math.prod(o.canvas.hr_shape)).sqrt()
    left = torch.stack([torch.view_as_real(s * root).reshape(-1) for s in seen])
    right = torch.stack([torch.view_as_real(equations.closed_form.apply(s) * root).reshape(-1) for s in seen])
    coupling = (left @ right.T).double()
    keep = torch.tensor([n for n in range(2 * k) if n // 2 != reference], device=full.device)
    schur = (full - (coupling + coupling.T) / 2)[keep][:, keep]
    values, vectors = torch.linalg.eigh(schur)
    inverse = vectors @ torch.diag(1 / values.clamp_min(1e-3 * float(full.diagonal()[keep].min()))) @ vectors.T
    error = o.data - o.operator.forward(image)
    slope = equations.closed_form.shift_slope(o.operator.phases, o.trust)
    score = torch.einsum("kachw,kchw->kac", weighted, error).double() - share / 2 * slope
    score = score.reshape(2 * k, r)[keep] * (r / max(r - 1, 1)) ** 0.5
    sandwich = inverse @ score @ score.T @ inverse
    out = np.zeros((k, 2, 2))
    others = [n for n in range(k) if n != reference]
    for place, frame in enumerate(others):
        block = slice(2 * place, 2 * place + 2)
        one, spread = inverse[block, block], sandwich[block, block]
        factor = max(1.0, float(torch.trace(spread) / torch.trace(one))) if r > 1 else 1.0
        out[frame] = (one * factor).cpu().numpy()
    return out

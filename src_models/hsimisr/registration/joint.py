"""Image and motions refined together: variable projection on the canvas, right at the borders.

One conjugate-gradient run solves the coupled Gauss-Newton system of the image and all motions,
``[A'WA + Q, A'WJ; J'WA, J'WJ + damping]``, so the motions are matched to the SR image instead of to an aliased frame
(pairwise registration cannot reach the Cramer-Rao bound, joint estimation can: Clement et al., arXiv 1809.05583).
The prior Q follows the image's local contrast: under a stationary one, what rings at edges pulls the motions along,
which at x4 makes their errors three times as large. All but local motions are solved for with the reference free to
move, and image and frames are moved back together after each step: with the reference held, an error that all frames
share is one that they and the image must leave together, for which 300 iterations are not enough at x4, and affine
motions of real frames are still 0.005 LR px off after 40 that are 0.0015 off with the reference free.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.robust import solve_robustly
from hsimisr.inversion.solver import NormalEquations
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.physics.observations import Observations, canvas_offset, operator_for
from hsimisr.physics.types import FrameMotion, PowerSpectrum
from hsimisr.physics.warp import warped
from hsimisr.registration.displacement import Displacement, Polynomial

Float64 = npt.NDArray[np.float64]
LARGEST_STEP = 0.3
"""LR pixels: the longest displacement that one step may make."""
SOLVER = LmmseConfig(iterations=60, tolerance=3e-3, rounds=2)
"""How well an image is solved for whose motions are being found."""
STEP_ITERATIONS, SOME, STILL = 40, 5, 0.5
"""A step ends after so many iterations, or when `SOME` of them moved no frame by `STILL` of what is enough."""


@dataclass(frozen=True, eq=False)
class JointMotion:
    """What the refinement leaves behind.

    Attributes:
        motions: of the frames on the canvas.
        steps: accepted.
        equations: normal equations at these motions, under the prior that follows the image's contrast.
        image: spectrum that solves them, nearly.
    """

    motions: tuple[FrameMotion, ...]
    steps: int
    equations: NormalEquations
    image: torch.Tensor


def refine_motions(
    observations: Observations,
    prior: PowerSpectrum,
    motions: tuple[FrameMotion, ...],
    basis: Displacement,
    reference: int,
    steps: int,
    enough: float,
    on_step: Callable[[int], None] | None = None,
    start: lmmse.Solution | None = None,
) -> JointMotion:
    """Refine the motions of frames on a canvas.

    Args:
        observations: frames laid out under `motions`.
        motions: of the K frames on the canvas, LR pixels.
        basis: displacements of a frame's canvas by which a motion may change.
        reference: the frame that stays where it is.
        enough: root mean square displacement of a step, LR pixels, at which the iteration ends.
        on_step: called before each step; may raise to stop.
        start: an image under much the same motions and prior to begin from, and which pixels it trusts; without one,
            both are found first.
    """
    canvas = observations.canvas
    offsets = np.stack([canvas_offset(motion, canvas) for motion in motions])
    corners = offsets + np.asarray(canvas.origin)
    share = covered_share(observations)
    if start is None:
        stationary = solve_robustly(observations, prior, SOLVER)
    else:
        trusted = replace(observations, weight=start.equations.observations.weight)
        stationary = lmmse.solve(trusted, prior, SOLVER, start=start.spectrum)
    first = lmmse.follow_contrast(stationary, SOLVER)
    equations, image = first.equations, first.spectrum
    observations = equations.observations
    assert first.contrast is not None
    value = _misfit(equations, image, share)
    damping, accepted = 1e-2, 0
    free = isinstance(basis, Polynomial) and all(motion.field is None for motion in motions)
    for step in range(steps):
        if on_step is not None:
            on_step(step)
        change, parameters = _coupled_step(equations, image, basis, reference, not free, damping, share, enough)
        displacement = basis.field(parameters - parameters[reference])
        longest, typical = float(displacement.abs().max()), _typical(displacement)
        factor = min(1.0, LARGEST_STEP / max(longest, 1e-12))
        changed, moves = image + change * factor, (parameters * factor).cpu().numpy()
        trial = tuple(
            motion if k == reference and not free else basis.compose(motion, moves[k], corners[k])
            for k, motion in enumerate(motions)
        )
        if free:
            changed, trial = _moved_back(canvas, changed, trial, reference)
        device = observations.data.device
        moved = replace(observations, operator=operator_for(canvas, observations.operator.psf, trial, offsets, device))
        next_equations = NormalEquations.build(moved, prior).with_contrast(first.contrast)
        next_value = _misfit(next_equations, changed, share)
        if next_value < value:
            motions, image, equations, value = trial, changed, next_equations, next_value
            damping, accepted = max(damping / 10, 1e-6), accepted + 1
            if typical < enough:
                break
        else:
            damping *= 10
            if typical < enough / 10:
                break
    return JointMotion(motions, accepted, equations, image)


def _typical(displacement: torch.Tensor) -> float:
    """Root mean square over the frame of the displacement ``(K, 2, h, w)`` of the frame that moves most."""
    return float(displacement.square().sum(1).mean((1, 2)).sqrt().max())


def covered_share(observations: Observations) -> float:
    """Part of the canvas that the frames measured: how much of the closed form's log determinant is real."""
    weight = observations.weight
    return float((weight / weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)).mean())


def _misfit(equations: NormalEquations, image: torch.Tensor, share: float) -> float:
    """Minus twice the log marginal likelihood of the motions, the HR image integrated out.

    The log determinant is that of the closed form: of shifts, as far as frames cover the canvas.
    """
    return equations.objective(image) + share * float(equations.closed_form.log_determinant.sum())


def _coupled_step(
    equations: NormalEquations,
    image: torch.Tensor,
    basis: Displacement,
    reference: int,
    held: bool,
    damping: float,
    share: float,
    enough: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One Levenberg-Marquardt step of the image and of the motions' parameters ``(K, P)``, by conjugate gradients.

    Args:
        reference: the frame against which the others move.
        held: whether it stays where it is.
        enough: root mean square displacement, LR pixels, that does not matter.
    """
    o = equations.observations
    dot = o.canvas.dot
    weight = o.precision
    error = o.data - o.operator.forward(image)
    slopes = o.operator.derivative(image)
    if held:
        slopes[reference] = 0
    weighted = slopes * weight[:, None]
    hessian = basis.normal(torch.einsum("kachw,kbchw->kabhw", weighted, slopes)) + basis.penalty
    eye = torch.eye(basis.count, dtype=torch.float64, device=hessian.device)
    damped = hessian + damping * torch.diag_embed(hessian.diagonal(dim1=1, dim2=2))
    own = damped - hessian + basis.penalty
    if held:
        damped[reference] = own[reference] = eye
    inverse = hermitian_inverse(damped)

    def apply(u: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        change = o.operator.forward(u) + torch.einsum("kahw,kachw->kchw", basis.field(d), slopes)
        gradient = basis.transpose(torch.einsum("kachw,kchw->kahw", weighted, change))
        gradient = gradient + torch.einsum("kpq,kq->kp", own, d)
        return o.operator.adjoint(weight * change) + equations.regularise(u), gradient

    def product(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return dot(a[0], b[0]).sum() + (a[1] * b[1]).sum()

    residual = (
        o.operator.adjoint(weight * error) - equations.regularise(image),
        basis.transpose(pixel_score(equations, slopes, error, share)),
    )
    x = torch.zeros_like(image), torch.zeros_like(residual[1])
    z = equations.preconditioner.apply(residual[0]), torch.einsum("kpq,kq->kp", inverse, residual[1])
    direction, rz = z, product(residual, z)
    first, before = rz, x[1]
    for n in range(STEP_ITERATIONS):
        if not bool(rz > 1e-6 * first):
            break
        if n and n % SOME == 0:
            since = x[1] - before
            if _typical(basis.field(since - since[reference])) < STILL * enough:
                break
            before = x[1]
        image_of = apply(*direction)
        step = float(rz / product(direction, image_of))
        x = x[0] + step * direction[0], x[1] + step * direction[1]
        residual = residual[0] - step * image_of[0], residual[1] - step * image_of[1]
        z = equations.preconditioner.apply(residual[0]), torch.einsum("kpq,kq->kp", inverse, residual[1])
        rz_next = product(residual, z)
        beta = float(rz_next / rz)
        direction, rz = (z[0] + beta * direction[0], z[1] + beta * direction[1]), rz_next
    return x


def _moved_back(
    canvas: Canvas, spectrum: torch.Tensor, motions: tuple[FrameMotion, ...], reference: int
) -> tuple[torch.Tensor, tuple[FrameMotion, ...]]:
    """Image and motions as the reference shows them, which has moved."""
    back = np.linalg.inv(motions[reference].matrix)
    if motions[reference].is_shift:
        moved = shifted(canvas, spectrum, torch.from_numpy(motions[reference].shift))
    else:
        moved = warped(canvas, spectrum, motions[reference])
    level = [motion.matrix @ back for motion in motions]
    again = [replace(motion, matrix=matrix / matrix[2, 2]) for motion, matrix in zip(motions, level, strict=True)]
    again[reference] = FrameMotion(np.eye(3))
    return moved, tuple(again)


def shifted(canvas: Canvas, spectrum: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """The spectrum ``(r, s*s, h, w//2+1)`` of images whose content moved down and right by ``(2,)`` LR pixels."""
    fy, fx = (torch.from_numpy(f).to(spectrum.device, torch.float32) for f in canvas.frequencies)
    angle = -2 * math.pi * (fy * float(shift[0]) + fx * float(shift[1]))
    return spectrum * torch.polar(torch.ones_like(angle), angle)


def pixel_score(equations: NormalEquations, slopes: torch.Tensor, error: torch.Tensor, share: float) -> torch.Tensor:
    """What each pixel's displacement adds to the log marginal likelihood ``(K, 2, h, w)``, per LR pixel."""
    o = equations.observations
    from_fit = torch.einsum("kachw,kchw->kahw", slopes * o.precision[:, None], error)
    moving = slopes.flatten(1).abs().amax(1) > 0  # the reference's slopes are zero
    volume = equations.closed_form.shift_slope(o.operator.phases, o.trust).sum(-1) * moving[:, None]
    pixels = from_fit.shape[2] * from_fit.shape[3]
    return from_fit - (share / 2 / pixels * volume).float()[:, :, None, None]

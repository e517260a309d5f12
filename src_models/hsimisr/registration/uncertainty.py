"""How well the motions are known: the covariance of each frame's position, the scene unknown."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.inversion.solver import NormalEquations
from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.registration.displacement import Displacement, Polynomial
from hsimisr.registration.joint import covered_share, pixel_score

Float64 = npt.NDArray[np.float64]
BLOCK = 4
"""Side, LR pixels, of the blocks whose scores are taken as independent of each other."""
LEAST_SHARE = 0.5
"""What K frames tell of their motions, as part of what they would tell if the image were known, is least for a motion
that all but the reference have in common: the reference alone speaks against it, and 1 / K is left, a little less where
frames alias. Less than this part of it comes of the preconditioner, which stands for the inverse of the image's
equations and is rough where motion varies over the frame."""


def position_covariance(
    equations: NormalEquations, image: torch.Tensor, basis: Displacement, reference: int
) -> Float64:
    """Covariance ``(K, 2, 2)`` of where a frame's content lies, LR pixels squared, mean over the frame.

    The inverse Schur complement H of the joint Hessian, made larger where blocks of the frame disagree about its motion
    by more than H says: the sandwich ``H^-1 G H^-1`` with G the summed outer products of the blocks' scores (White,
    Econometrica 50(1), 1982; clustered as in Liang and Zeger, Biometrika 73(1), 1986). A local field has too many
    parameters for that: its covariance with the image known is made larger by as much as an affine motion's.
    """
    slopes = equations.observations.operator.derivative(image)
    slopes[reference] = 0
    if isinstance(basis, Polynomial):
        return _coupled(equations, image, slopes, basis, reference)[0]
    affine = Polynomial.build("affine", equations.observations.canvas.shape, slopes.device)
    coupled, alone = _coupled(equations, image, slopes, affine, reference)
    factor = np.trace(coupled, axis1=1, axis2=2) / np.maximum(np.trace(alone, axis1=1, axis2=2), 1e-30)
    hessian = _hessian(equations, slopes, basis)
    fields = basis.field(torch.eye(basis.count, device=slopes.device))
    out = np.zeros_like(coupled)
    for k in range(len(out)):
        if k != reference:
            out[k] = factor[k] * _mean_position(hermitian_inverse(hessian[k]), fields)
    return out


def _hessian(equations: NormalEquations, slopes: torch.Tensor, basis: Displacement) -> torch.Tensor:
    """Hessian ``(K, P, P)`` of the motions, the image known."""
    weighted = slopes * equations.observations.precision[:, None]
    return basis.normal(torch.einsum("kachw,kbchw->kabhw", weighted, slopes)) + basis.penalty


def _coupled(
    equations: NormalEquations, image: torch.Tensor, slopes: torch.Tensor, basis: Polynomial, reference: int
) -> tuple[Float64, Float64]:
    """Position covariances ``(K, 2, 2)`` with the image unknown, and with it known."""
    o = equations.observations
    weighted = slopes * o.precision[:, None]
    k, p, fields = len(slopes), basis.count, basis.fields
    others = [n for n in range(k) if n != reference]
    hessian = _hessian(equations, slopes, basis)[others]
    full = torch.block_diag(*hessian)
    seen = [o.operator.adjoint_of(n, torch.einsum("ahw,achw->chw", f, weighted[n])) for n in others for f in fields]
    root = (torch.from_numpy(o.canvas.half_weight).to(full.device) / math.prod(o.canvas.hr_shape)).sqrt()
    left = torch.stack([torch.view_as_real(s * root).reshape(-1) for s in seen])
    right = torch.stack([torch.view_as_real(equations.preconditioner.apply(s) * root).reshape(-1) for s in seen])
    coupling = (left @ right.T).double()
    eye = torch.eye(len(full), dtype=full.dtype, device=full.device)
    whitening = torch.linalg.solve_triangular(torch.linalg.cholesky(full), eye, upper=False)
    values, vectors = torch.linalg.eigh(eye - whitening @ (coupling + coupling.T) @ whitening.T / 2)
    spread = whitening.T @ vectors
    inverse = spread @ torch.diag(1 / values.clamp_min(LEAST_SHARE / k)) @ spread.T
    error = o.data - o.operator.forward(image)
    scores = _block_scores(pixel_score(equations, slopes, error, covered_share(o))[others], fields)
    count = len(scores)
    sandwich = inverse @ (scores.T @ scores * (count / max(count - p, 1))) @ inverse
    unknown, known = np.zeros((k, 2, 2)), np.zeros((k, 2, 2))
    for place, frame in enumerate(others):
        block = slice(p * place, p * (place + 1))
        one = _mean_position(inverse[block, block], fields)
        unknown[frame] = one * max(1.0, np.trace(_mean_position(sandwich[block, block], fields)) / np.trace(one))
        known[frame] = _mean_position(hermitian_inverse(hessian[place]), fields)
    return unknown, known


def _mean_position(covariance: torch.Tensor, fields: torch.Tensor) -> Float64:
    """Covariance ``(2, 2)`` of a position, mean over the grid, of parameters' covariance ``(P, P)``."""
    spread = torch.einsum("pq,qbhw->pbhw", covariance.float(), fields)
    total = torch.einsum("pahw,pbhw->ab", fields, spread)
    return (total / (fields.shape[2] * fields.shape[3])).double().cpu().numpy()


def _block_scores(field: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
    """Scores ``(blocks, K * P)`` of square blocks of pixels of a field ``(K, 2, h, w)``, basis fields (P, 2, h, w)."""
    per_pixel = torch.einsum("kahw,pahw->kphw", field, fields).flatten(0, 1)
    h, w = per_pixel.shape[1:]
    padded = torch.nn.functional.pad(per_pixel, (0, -w % BLOCK, 0, -h % BLOCK))
    sums = torch.nn.functional.avg_pool2d(padded, BLOCK) * BLOCK**2
    blocks = sums.flatten(1).T.double()
    return blocks[blocks.abs().amax(1) > 0]

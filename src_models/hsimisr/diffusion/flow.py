"""The probability flow of a Gaussian: where a noisy deviation goes as its noise is taken off, exactly.

With noise of level s the deviation has covariance ``C + (s e)^2``; the flow (Song et al., ICLR 2021, equation 13) from
s to s' multiplies it by ``((C + (s' e)^2) (C + (s e)^2)^-1)^(1/2) = ((1 + (s' e)^2 H) (1 + (s e)^2 H)^-1)^(1/2)``. That
function of H is applied by Lanczos' method (Higham, Functions of Matrices, 2008, section 13.2), so that it holds for
any motion, mask and contrast.
"""

from __future__ import annotations

import torch

from hsimisr.diffusion.gaussian import GaussianPosterior

STEPS = 24
"""Lanczos steps; more change the result by less than sampling does."""


def follow_flow(posterior: GaussianPosterior, noisy: torch.Tensor, level: float, lower: float) -> torch.Tensor:
    """A deviation ``(n, H, W)`` of noise `level`, followed down to noise `lower`, 0 for all of it."""
    length = torch.linalg.vector_norm(noisy, dim=(1, 2), keepdim=True).clamp_min(1e-12)
    vectors, matrix = _krylov(posterior, noisy / length)
    values, basis = torch.linalg.eigh(matrix)
    values, error = values.clamp_min(0), posterior.error.double()[:, None]
    factor = ((1 + (lower * error) ** 2 * values) / (1 + (level * error) ** 2 * values)).sqrt()
    weights = (basis * (factor * basis[:, 0])[:, None]).sum(-1)
    return torch.einsum("nk,knhw->nhw", weights.to(noisy), vectors) * length


def _krylov(posterior: GaussianPosterior, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal images ``(k, n, H, W)`` from unit ones on, and the tridiagonal H between them ``(n, k, k)``."""
    vectors = first[None]
    diagonal, beside = [], []
    for step in range(STEPS):
        product = posterior.apply(vectors[-1])
        diagonal.append((product * vectors[-1]).sum((1, 2)).double())
        for _ in range(2):  # against all before: in single precision they would not stay orthogonal
            along = torch.einsum("knhw,nhw->kn", vectors, product)
            product = product - torch.einsum("kn,knhw->nhw", along, vectors)
        size = torch.linalg.vector_norm(product, dim=(1, 2), keepdim=True)
        if step + 1 < STEPS:
            beside.append(size[:, 0, 0].double())
            vectors = torch.cat([vectors, (product / size.clamp_min(1e-12))[None]])
    off = torch.stack(beside, 1)
    matrix = torch.diag_embed(torch.stack(diagonal, 1)) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    return vectors, matrix

"""Solves of batches of small Hermitian systems, in the one way that is safe.

Batched LU (`torch.linalg.solve`, `inv`, `lu_factor`) hangs or returns wrong numbers on CPUs with torch 2.13 for
n >= 150 (pytorch issues 142815 and 141358), so every solve goes through Cholesky, here.
"""

from __future__ import annotations

import torch


def hermitian_inverse(matrix: torch.Tensor) -> torch.Tensor:
    """Inverse of Hermitian positive definite matrices ``(..., n, n)``."""
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix))


def inverse_and_log_determinant(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inverse ``(..., n, n)`` and log determinant ``(...)`` of Hermitian positive definite matrices.

    Matrices too ill-conditioned for their precision (very clean data) are factored in double precision.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed.any()):
        factor = torch.linalg.cholesky(matrix.to(torch.promote_types(matrix.dtype, torch.float64)))
    logdet = 2 * factor.diagonal(dim1=-2, dim2=-1).real.log().sum(-1)
    return torch.cholesky_inverse(factor).to(matrix.dtype), logdet.to(matrix.real.dtype)

"""The one way to solve small Hermitian systems, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.physics.linalg import hermitian_inverse, inverse_and_log_determinant

SIZES = [1, 4, 16, 40]


def matrices(n, count=5):
    """Hermitian positive definite, of condition number below 10."""
    rng = np.random.default_rng(n)
    a = rng.standard_normal((count, n, 2 * n)) + 1j * rng.standard_normal((count, n, 2 * n))
    return a @ a.conj().swapaxes(-1, -2) / n + np.eye(n)


@pytest.mark.parametrize("n", SIZES)
def test_inverse_and_determinant(n):
    a = matrices(n)
    inverse, log_determinant = inverse_and_log_determinant(torch.from_numpy(a))
    # double precision, condition number 10 or so, n terms a sum
    assert inverse.numpy() == pytest.approx(np.linalg.inv(a), abs=1e-13 * n)
    assert hermitian_inverse(torch.from_numpy(a)).numpy() == pytest.approx(np.linalg.inv(a), abs=1e-13 * n)
    assert log_determinant.numpy() == pytest.approx(np.linalg.slogdet(a)[1], rel=1e-13 * n, abs=1e-13 * n)

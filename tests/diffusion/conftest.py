"""Dense references, and situations for these tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dense_problem import dense_problem

from hsimisr.diffusion import gaussian
from hsimisr.diffusion.gaussian import GaussianPosterior
from hsimisr.diffusion.model import Model
from hsimisr.inversion.closed_form import prior_precision

__all__ = ["dense_problem"]


@pytest.fixture(scope="session")
def posed(dense_problem):
    """A posterior with masks and local contrast, and its dense covariance ``(H W, H W)`` for each eigen-image."""
    problem = dense_problem().with_mask()
    canvas = problem.canvas
    contrast = np.exp(np.random.default_rng(3).normal(0, 0.7, canvas.hr_shape)).astype(np.float32)
    precision = prior_precision(problem.prior, canvas, torch.device("cpu"))
    error = torch.tensor([1.3, 0.6])
    posterior = GaussianPosterior(problem.observations, precision, torch.from_numpy(contrast), error)
    covariances = np.stack([np.linalg.inv(problem.posterior(image, contrast)[0]) for image in range(2)])
    return posterior, covariances


@pytest.fixture
def gaussian_model(posed):
    """A model whose network changes nothing: all that is left is Gaussian."""
    posterior, _ = posed
    return Model(posterior, lambda _known, noisy, _denoised, _level: torch.zeros_like(noisy), SimpleNamespace())


@pytest.fixture
def exact_solver(monkeypatch):
    """Solutions to be compared with dense ones: a sample does not need them so exact."""
    monkeypatch.setattr(gaussian, "STEPS", 300)
    monkeypatch.setattr(gaussian, "TOLERANCE", 1e-6)

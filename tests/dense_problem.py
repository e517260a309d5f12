"""Dense references: the observation model and its posterior as plain double-precision matrices of a tiny canvas."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.inversion.prior import power_law, radial_frequencies
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

PSF = "mtf:0.29"


@dataclass(frozen=True, eq=False)
class DenseProblem:
    """Frames on a periodic canvas, and the matrices of one of their eigen-images."""

    observations: Observations
    prior: PowerSpectrum
    psf: Psf

    @property
    def canvas(self) -> Canvas:
        return self.observations.canvas

    @property
    def pixels(self) -> int:
        return self.canvas.hr_shape[0] * self.canvas.hr_shape[1]

    def operator_matrix(self, shifts=None) -> np.ndarray:
        """A ``(K * h * w, H * W)``: each axis on its own, summed frequency by frequency."""
        canvas, s = self.canvas, self.canvas.scale
        first = 0.5 / s - 0.5  # LR coordinate of HR pixel 0
        blocks = []
        for shift in self.observations.operator.shifts if shifts is None else shifts:
            axes = []
            for lr, d in zip(canvas.shape, shift, strict=True):
                f = np.fft.fftfreq(lr * s) * s
                blur = np.where(np.abs(f) == s / 2, 0, self.psf.transfer(f))
                seen = np.exp(2j * np.pi * np.outer(np.arange(lr) - d - first, f))
                axes.append((seen * blur @ np.exp(-2j * np.pi * np.outer(f, np.arange(lr * s)) / s)).real / (lr * s))
            blocks.append(np.kron(*axes))
        return np.concatenate(blocks)

    def prior_root(self, image: int) -> np.ndarray:
        """Symmetric root of the prior precision ``(H * W, H * W)``."""
        shape = self.canvas.hr_shape
        fourier = np.fft.fft2(np.eye(self.pixels).reshape(-1, *shape), norm="ortho").reshape(self.pixels, -1)
        fy, fx = (np.fft.fftfreq(n) * self.canvas.scale for n in shape)
        power = self.prior.at(np.hypot(fy[:, None], fx[None, :]))[image].ravel() * self.canvas.scale**2
        return (fourier.conj().T @ np.diag(power**-0.5) @ fourier).real

    def data_weight(self, image: int) -> np.ndarray:
        """W ``(K * h * w,)``."""
        return self.observations.precision[:, image].double().numpy().ravel()

    def posterior(self, image: int, contrast=None) -> tuple[np.ndarray, np.ndarray]:
        """Precision ``A'WA + Q`` and right side ``A'Wy``."""
        a, w, root = self.operator_matrix(), self.data_weight(image), self.prior_root(image)
        q = root @ root if contrast is None else root @ np.diag(1 / contrast.ravel()) @ root
        return a.T @ (w[:, None] * a) + q, a.T @ (w * self.observations.data[:, image].double().numpy().ravel())

    def with_mask(self, seed: int = 0) -> DenseProblem:
        """The same frames with a third of their pixels not measured."""
        mask = torch.from_numpy(np.random.default_rng(seed).random(self.observations.weight.shape) > 1 / 3).float()
        o = self.observations
        return replace(self, observations=replace(o, weight=o.weight * mask, data=o.data * mask))


@pytest.fixture(scope="session")
def dense_problem():
    """Make a problem: `scale`, LR `shape`, and number of `frames`; two eigen-images of different noise and prior."""

    def make(scale=2, shape=(6, 5), frames=3, seed=0) -> DenseProblem:
        rng = np.random.default_rng(seed)
        canvas = Canvas((0, 0), shape, scale, View.whole(shape))
        psf = Psf.parse(PSF)
        operator = ShiftOperator(canvas, psf, rng.uniform(-0.5, 0.5, (frames, 2)), torch.device("cpu"))
        frequency = np.array([0.05, 0.3, 1.0, 3.0])
        prior = PowerSpectrum(frequency, np.array([[40.0, 8.0, 1.0, 0.1], [5.0, 2.0, 0.4, 0.05]]))
        data = torch.from_numpy(3 * rng.standard_normal((frames, 2, *shape)).astype(np.float32))
        variance = torch.from_numpy(rng.uniform(1, 2, (frames, 2)).astype(np.float32))
        observations = Observations(operator, data, torch.ones(frames, 1, *shape), variance)
        return DenseProblem(observations, prior, psf)

    return make


@pytest.fixture(scope="session")
def drawn_problem(dense_problem):
    """Make a problem that obeys its own model: a scene drawn from a power law, noise of each frame's `variance`."""

    def make(variance=(1.0, 1.0, 1.0, 1.0), shape=(32, 30), seed=0) -> DenseProblem:
        problem, rng = dense_problem(2, shape, len(variance)), np.random.default_rng(seed)
        o, canvas = problem.observations, problem.canvas
        prior = power_law(np.array([2.5, 2.5]), np.array([100.0, 30.0]), radial_frequencies(2, shape))
        amplitude = torch.from_numpy(np.sqrt(prior.at(canvas.radius)) * 2)
        image = canvas.to_spectrum(torch.from_numpy(rng.standard_normal((2, *canvas.hr_shape)))) * amplitude
        noise = torch.from_numpy(rng.standard_normal(o.data.shape)).float()
        each = torch.tensor(variance)[:, None].expand(len(variance), 2).contiguous()
        data = o.operator.forward(image.to(torch.complex64)) + noise * each.sqrt()[:, :, None, None]
        return replace(problem, observations=replace(o, data=data, variance=each), prior=prior)

    return make

"""Simulated frames in eigen-images, as the registration meets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hsimisr.inversion.prior import fit_power_law
from hsimisr.physics.psf import Psf
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import PowerSpectrum

PSF = "mtf:0.29"


@dataclass(frozen=True, eq=False)
class EigenFrames:
    """Eigen-images ``(r, h, w)`` of simulated frames, their masks, the truth about them and a prior."""

    simulation: Simulation
    frames: list[np.ndarray]
    masks: list[np.ndarray]
    prior: PowerSpectrum
    psf: Psf
    device: torch.device

    def errors(self, registration) -> np.ndarray:
        """RMSE of each frame's shift but the reference's, LR pixels."""
        apart = registration.shifts - self.simulation.motions[:, :2, 2]
        others = [k for k in range(len(apart)) if k != registration.reference]
        return np.sqrt((apart[others] ** 2).mean(1))


@pytest.fixture(scope="session")
def eigen_frames() -> EigenFrames:
    """Five frames of 38 x 38 pixels at scale 2."""
    scene = town((92, 92), bands=16, seed=3)
    simulation = simulate(scene.cube, 2, 5, PSF, snr=30, max_shift=1.8, seed=1)
    masks = [np.ones(f.shape[1:], bool) for f in simulation.frames]
    subspace = estimate_subspace(list(simulation.frames), masks, simulation.sigma, np.zeros(16, bool))
    frames = [subspace.project(f) for f in simulation.frames]
    psf = Psf.parse(PSF)
    return EigenFrames(simulation, frames, masks, fit_power_law(frames, psf, 2), psf, torch.device("cpu"))

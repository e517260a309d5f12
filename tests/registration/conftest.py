"""Frames as the registration meets them: simulated, and of scenes known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hsimisr.geometry import View, translation
from hsimisr.inversion.invert import FrameWindow
from hsimisr.inversion.prior import fit_power_law, power_law, radial_frequencies
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import forward_motion, invert_motion
from hsimisr.physics.observations import Observations, operator_for
from hsimisr.physics.psf import Psf
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import FrameMotion, PowerSpectrum, SceneModel, Subspace
from hsimisr.registration.gauss_newton import SmoothFrame

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
    subspace: Subspace

    @property
    def window(self) -> FrameWindow:
        return FrameWindow(self.frames, self.masks, [(0, 0)] * len(self.frames))

    def scene(self, registration) -> SceneModel:
        """What is known about the scene, with these motions."""
        return SceneModel(registration, PSF, self.subspace, self.prior, 2)

    def position_errors(self, registration) -> np.ndarray:
        """RMSE of where each frame but the reference shows the reference's pixels, LR pixels along one axis."""
        pixels = np.moveaxis(np.indices(self.frames[0].shape[1:]), 0, -1)
        pairs = list(zip(registration.frames, self.simulation.registration.frames, strict=True))[1:]
        apart = [forward_motion(found, pixels) - forward_motion(true, pixels) for found, true in pairs]
        return np.array([np.sqrt((d**2).mean()) for d in apart])

    def errors(self, registration) -> np.ndarray:
        """RMSE of each frame's shift but the reference's, LR pixels."""
        apart = registration.shifts - self.simulation.motions[:, :2, 2]
        others = [k for k in range(len(apart)) if k != registration.reference]
        return np.sqrt((apart[others] ** 2).mean(1))


def eigen_frames_of(motion="shift", side=92, frames=5, max_shift=1.8, seed=1) -> EigenFrames:
    """Frames of a town at scale 2; a side of 92 leaves 38 x 38 LR pixels of frames that moved by shifts."""
    scene = town((side, side), bands=16, seed=3)
    simulation = simulate(scene.cube, 2, frames, PSF, snr=30, motion=motion, max_shift=max_shift, seed=seed)
    masks = [np.ones(f.shape[1:], bool) for f in simulation.frames]
    subspace = estimate_subspace(list(simulation.frames), masks, simulation.sigma, np.zeros(16, bool))
    eigen = [subspace.project(f) for f in simulation.frames]
    psf = Psf.parse(PSF)
    return EigenFrames(simulation, eigen, masks, fit_power_law(eigen, psf, 2), psf, torch.device("cpu"), subspace)


@pytest.fixture(scope="session")
def eigen_frames() -> EigenFrames:
    """Five frames of 38 x 38 pixels at scale 2."""
    return eigen_frames_of()


@pytest.fixture(scope="session")
def turned_frames() -> EigenFrames:
    """Four frames that turned, stretched and sheared."""
    return eigen_frames_of("affine", 104, 4)


@pytest.fixture(scope="session")
def bent_frames() -> EigenFrames:
    """Four frames that moved differently in every place."""
    return eigen_frames_of("local", 116, 4)


@pytest.fixture(scope="session")
def make_eigen_frames():
    return eigen_frames_of


@dataclass(frozen=True, eq=False)
class DrawnFrames:
    """Frames of a scene drawn from its prior, which cover the whole periodic canvas: the model holds exactly."""

    observations: Observations
    prior: PowerSpectrum
    motions: tuple[FrameMotion, ...]


@pytest.fixture(scope="session")
def draw_frames():
    """Draw frames at scale 2, moved by shifts of up to 0.3 pixels but for the first."""

    def draw(seed=0, noise=1.0, frames=4, shape=(20, 18), scale=2) -> DrawnFrames:
        rng = np.random.default_rng(seed)
        canvas = Canvas((0, 0), shape, scale, View.whole(shape))
        prior = power_law(np.array([2.5, 2.5]), np.array([100.0, 30.0]), radial_frequencies(scale, shape))
        amplitude = torch.from_numpy(np.sqrt(prior.at(canvas.radius)) * scale)
        white = torch.from_numpy(rng.standard_normal((2, *canvas.hr_shape)))
        image = (canvas.to_spectrum(white) * amplitude).to(torch.complex64)
        shifts = rng.uniform(-0.3, 0.3, (frames, 2)) * (np.arange(frames) > 0)[:, None]
        motions = tuple(FrameMotion(translation(shift)) for shift in shifts)
        at_home = np.zeros((frames, 2), np.int64)
        operator = operator_for(canvas, Psf.parse(PSF), motions, at_home, torch.device("cpu"))
        clean = operator.forward(image)
        data = clean + noise * torch.from_numpy(rng.standard_normal(clean.shape)).float()
        seen, variance = torch.ones(frames, 1, *shape), torch.full((frames, 2), noise**2)
        return DrawnFrames(Observations(operator, data, seen, variance), prior, motions)

    return draw


@dataclass(frozen=True, eq=False)
class Waves:
    """Eigen-images of a scene known in closed form: a few waves, none near the Nyquist frequency, far above the noise.

    Attributes:
        number: cycles per pixel ``(w, 2)``.
        amplitude, phase: of each wave in each eigen-image ``(r, w)``.
        shape: of the frames, unless asked for others.
    """

    number: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray
    shape: tuple[int, int]

    @property
    def rank(self) -> int:
        return len(self.amplitude)

    def seen(self, motion=None, shape=None) -> np.ndarray:
        """A frame ``(r, h, w)`` whose content moved; a shift or a `FrameMotion`."""
        motion = motion if isinstance(motion, FrameMotion) else FrameMotion(translation(motion or (0.0, 0.0)))
        ground = invert_motion(motion, np.moveaxis(np.indices(shape or self.shape), 0, -1))
        angle = 2 * np.pi * np.einsum("yxa,wa->wyx", ground, self.number) + self.phase[..., None, None]
        return np.einsum("cw,cwyx->cyx", self.amplitude, np.cos(angle)).astype(np.float32)

    def turned(self, shift, linear=((1.0, 0.0), (0.0, 1.0)), perspective=(0.0, 0.0), field=None) -> FrameMotion:
        """A motion about the middle of the frame."""
        centre = (np.asarray(self.shape) - 1) / 2
        inner = np.eye(3)
        inner[:2, :2], inner[2, :2] = linear, perspective
        matrix = translation(shift) @ translation(centre) @ inner @ translation(-centre)
        return FrameMotion(matrix / matrix[2, 2], field=field)

    def bend(self, size) -> np.ndarray:
        """A smooth field ``(2, h, w)``: one wave across the frame along each axis."""
        (h, w), (y, x) = self.shape, np.indices(self.shape)
        return (size * np.stack([np.sin(2 * np.pi * x / w), np.cos(2 * np.pi * y / h)])).astype(np.float32)

    def prepared(self, frame, mask=None, prefilter=1.0) -> SmoothFrame:
        return SmoothFrame.build(
            frame.astype(np.float32), np.ones(frame.shape[1:], bool) if mask is None else mask, prefilter
        )


@pytest.fixture(scope="session")
def waves() -> Waves:
    rng = np.random.default_rng(0)
    number = np.array([[0.11, 0.04], [-0.05, 0.09], [0.08, 0.10], [0.02, -0.07]])
    return Waves(number, rng.uniform(50, 200, (3, 4)), rng.uniform(0, 2 * np.pi, (3, 4)), (40, 36))

"""Stacks whose motion is known: the rows of the registration benchmark, and how their frames are made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from simulated import good_bands

from hsimisr.geometry import translation
from hsimisr.physics.rendering import Kernel
from hsimisr.physics.simulator import Motion, simulate
from hsimisr.physics.types import FrameMotion, Registration

FAR = 0.4  # largest shift of the far row, part of a frame's side
CLOUDED = 0.3  # part of the frame under cloud
BRIGHTER = 1.3
CROP = 0.2  # largest part of a side that is cut off at each end where frames differ in size


@dataclass(frozen=True)
class Row:
    """One setting and its targets on the RMSE, LR pixels: of the median frame, and of the worst.

    `frames_are` says what is special about the frames: nothing, shifted far, of different size, or one foreign, one
    clouded and one brighter. `options` are settings of the pipeline beyond scale and PSF.
    """

    scale: int
    frames: int
    psf: str
    snr: float
    median: float
    worst: float | None = None
    motion: Motion = "shift"
    frames_are: Literal["plain", "far", "sizes", "odd"] = "plain"
    options: dict[str, object] = field(default_factory=dict)

    @property
    def parameters(self) -> int | None:
        """Number of parameters of each frame's motion where the bounds apply."""
        return PARAMETERS.get(self.motion) if self.frames_are == "plain" else None


PARAMETERS = {"shift": 2, "affine": 6}
LOST = 0.5
"""LR pixels: an error beyond which a registration has diverged."""
ROWS = {
    "x2 mtf": Row(2, 8, "mtf:0.29", 30.0, 0.002),
    "x2 box": Row(2, 8, "box", 30.0, 0.003),
    "x4 box": Row(4, 16, "box", 35.0, 0.010),
    "x3 K=4": Row(3, 4, "mtf:0.29", 30.0, 0.02, worst=LOST),
    "affine mtf": Row(2, 8, "mtf:0.29", 30.0, 0.01, motion="affine"),
    "affine box": Row(2, 8, "box", 30.0, 0.01, motion="affine"),
    "local": Row(2, 8, "mtf:0.29", 30.0, 0.05, motion="local"),
    "far": Row(2, 8, "mtf:0.29", 30.0, 0.05, worst=0.05, frames_are="far"),
    "sizes": Row(2, 8, "mtf:0.29", 30.0, 0.05, worst=0.05, frames_are="sizes"),
    "odd": Row(2, 8, "mtf:0.29", 30.0, 0.002, frames_are="odd"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """Frames ``(B, h_k, w_k)``, their true motion, the truth ``(B, s h, s w)`` and the sensor's noise ``(B,)``.

    A frame that does not show the scene is excluded in the true motion.
    """

    frames: list[np.ndarray]
    motion: Registration
    truth: np.ndarray
    sigma: np.ndarray


def make_case(row: Row, path: Path, other: Path, seed: int) -> Case:
    """The frames of a row.

    Args:
        path: the scene.
        other: where a foreign frame comes from.

    Raises:
        ConfigError: a scene too small for the row.
    """
    scene = good_bands(path)
    room = min(scene.shape[1:]) / row.scale
    max_shift = 2.0 if room >= 23.5 else 1.5
    if row.frames_are == "far":
        max_shift = FAR * (room - 2 * Kernel.of(row.psf, row.scale).reach) / (1 + 2 * FAR)
    simulation = simulate(scene, row.scale, row.frames, row.psf, row.snr, row.motion, max_shift, seed)
    case = Case(list(simulation.frames), simulation.registration, simulation.truth, simulation.sigma)
    rng = np.random.default_rng([seed, len(scene)])
    if row.frames_are == "sizes":
        return _cropped(case, rng)
    if row.frames_are == "odd":
        return _with_odd_frames(case, row, good_bands(other), rng)
    return case


def _cropped(case: Case, rng: np.random.Generator) -> Case:
    """Every frame but the reference cut at all four sides by different amounts."""
    frames, motions = case.frames[:1], [case.motion.frames[0]]
    for frame, motion in zip(case.frames[1:], case.motion.frames[1:], strict=True):
        h, w = frame.shape[1:]
        top, bottom = rng.integers(0, int(CROP * h), 2)
        left, right = rng.integers(0, int(CROP * w), 2)
        frames.append(frame[:, top : h - bottom, left : w - right])
        motions.append(replace(motion, matrix=translation((-top, -left)) @ motion.matrix))
    return replace(case, frames=frames, motion=replace(case.motion, frames=tuple(motions)))


def _with_odd_frames(case: Case, row: Row, other: np.ndarray, rng: np.random.Generator) -> Case:
    """Frame 1 from another scene, frame 2 under cloud, frame 3 brighter."""
    frames, motions = list(case.frames), list(case.motion.frames)
    frames[1] = _foreign(case.frames[0], row, other)
    motions[1] = FrameMotion(np.eye(3), excluded=True, reason="another scene")
    frames[2] = _clouded(case.frames[2], case.sigma, rng)
    frames[3] = np.float32(BRIGHTER) * case.frames[3]
    motions[3] = replace(motions[3], gain=BRIGHTER)
    return replace(case, frames=frames, motion=replace(case.motion, frames=tuple(motions)))


def _foreign(reference: np.ndarray, row: Row, other: np.ndarray) -> np.ndarray:
    """Another scene by the same camera: as many bands, each with the mean and the contrast of the reference's."""
    bands = np.rint(np.linspace(0, len(other) - 1, len(reference))).astype(int)
    frame = simulate(other[bands], row.scale, 1, row.psf, row.snr).frames[0]
    frame = frame[:, : reference.shape[1], : reference.shape[2]]
    mean, spread = (stat(frame, axis=(1, 2), keepdims=True) for stat in (np.mean, np.std))
    unit = (frame - mean) / np.maximum(spread, 1e-6 * np.abs(mean))
    return unit * reference.std((1, 2), keepdims=True) + reference.mean((1, 2), keepdims=True)


def _clouded(frame: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An opaque bright cloud in one or a few blobs, a little uneven."""
    blobs = gaussian_filter(rng.standard_normal(frame.shape[1:]), min(frame.shape[1:]) / 8, mode="wrap")
    above = blobs - np.quantile(blobs, 1 - CLOUDED)
    bright = 1.5 * np.quantile(frame, 0.99, axis=(1, 2))[:, None, None] * (1 + 0.1 * above / above.std())
    noise = sigma[:, None, None] * rng.standard_normal(frame.shape)
    return np.where(above > 0, bright + noise, frame).astype(np.float32)

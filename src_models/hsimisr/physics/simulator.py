"""Simulated frames of a scene whose truth is known, for tests, benchmarks and demonstrations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError
from hsimisr.geometry import apply_motion, is_translation, lr_to_hr, translation
from hsimisr.physics.rendering import Kernel, pixel_matrix, sample_matrix, spline_coefficients
from hsimisr.physics.types import FrameMotion, Registration

Array = npt.NDArray[np.float64]
Cubes = npt.NDArray[np.float32]
Motion = Literal["shift", "affine", "homography", "local"]

SMALLEST_FRAME = 16  # LR pixels; smaller frames tell nothing about a method
ROTATION = math.radians(2.0)
STRETCH = 0.02  # largest departure of each axis' scale from 1; largest shear
TILT = 0.085  # largest sum over a row of what rotation, scale and shear or their inverse add to the identity
PERSPECTIVE = 0.02  # largest change of scale from the middle of the frame to an edge
BEND = 1.0  # largest local motion along each axis, LR pixels
SMOOTH = 16.0  # half the shortest wave of a local motion, LR pixels
OVERSAMPLING = 2  # of the warped scene, relative to the scene itself


@dataclass(frozen=True, eq=False)
class Simulation:
    """Frames and everything that is true about them.

    Attributes:
        frames: ``(K, B, h, w)``; frame 0 is the reference.
        truth: the scene on the reference's footprint ``(B, s h, s w)``.
        motions: ``(K, 3, 3)``, see `hsimisr.geometry`; LR pixels.
        fields: local motion ``(2, h, w)`` per frame, on the reference grid, or None.
        gains: ``(K,)``, 1 for the reference.
        sigma: noise per band ``(B,)``, data units.
        origin_yx: the scene's sample at the truth's first pixel.
    """

    frames: Cubes
    truth: Cubes
    motions: Array
    fields: tuple[Cubes | None, ...]
    gains: Array
    sigma: Array
    origin_yx: tuple[int, int]

    @property
    def registration(self) -> Registration:
        """The true motion, as a registration would report it."""
        frames = (
            FrameMotion(matrix, gain=float(gain), field=field, model=_model(matrix, field))
            for matrix, gain, field in zip(self.motions, self.gains, self.fields, strict=True)
        )
        return Registration(tuple(frames), method="simulated")


def simulate(
    scene: npt.NDArray[np.floating],
    scale: int,
    frames: int,
    psf: str = "mtf:0.29",
    snr: float = 30.0,
    motion: Motion = "shift",
    max_shift: float = 2.0,
    seed: int = 0,
    shot: bool = False,
    gain_spread: float = 0.0,
    band_sigma: npt.ArrayLike | None = None,
) -> Simulation:
    """Look at a scene with a moving LR camera.

    The frames are cropped from the inside of the scene by a margin that covers motion and PSF: nothing is wrapped
    around. A band that holds NaN anywhere comes out as NaN.

    Args:
        scene: HR cube ``(B, Y, X)``.
        scale: scene samples per LR pixel.
        frames: number of frames.
        psf: ``box``, ``mtf:m``, ``gauss:fwhm`` (or with axes) or ``bicubic``, see `hsimisr.physics.psf.Psf.parse`.
        snr: dB, 20 log10(rms of the band / sigma); infinite for frames without noise.
        motion: pure shifts; `affine` adds a rotation of up to 2 degrees, scales within 2 % of 1 and a shear of up to
            2 %; `homography` adds a perspective that changes the scale by up to 2 % from the middle to an edge;
            `local` is affine with a field of up to 1 LR pixel along each axis on top, in waves of at least 32 LR
            pixels.
        max_shift: largest shift along each axis, LR pixels.
        seed: the same seed gives the same motion, whatever the noise.
        shot: make the variance of the noise proportional to the signal, with the same mean.
        gain_spread: standard deviation of the gain between frames.
        band_sigma: noise per band ``(B,)`` in data units, instead of `snr`.

    Raises:
        ConfigError: an unknown PSF or motion, no frames, or a scene too small for frames of 16 x 16 pixels.
    """
    if motion not in get_args(Motion):
        raise ConfigError(f"motion {motion!r} is not one of {', '.join(get_args(Motion))}")
    if scale < 1 or frames < 1 or max_shift < 0:
        raise ConfigError("a simulation needs a scale >= 1, a number of frames >= 1 and a max_shift >= 0")
    kernel = Kernel.of(psf, scale)
    margin, shape = _layout((scene.shape[1], scene.shape[2]), scale, motion, max_shift + kernel.reach)
    for_motion, for_bend, for_gain, for_noise = np.random.default_rng(seed).spawn(4)
    matrices = _draw_motions(for_motion, frames, motion, max_shift, shape)
    bends = [_draw_bend(for_bend) if motion == "local" and k > 0 else None for k in range(frames)]
    gains = 1 + gain_spread * for_gain.standard_normal(frames)
    gains[0] = 1.0

    camera = _Camera(spline_coefficients(scene), kernel, scale, margin, shape)
    clean = np.stack([camera.see(matrix, bend) for matrix, bend in zip(matrices, bends, strict=True)])
    clean *= gains[:, None, None, None]
    sigma = np.sqrt(np.mean(clean**2, axis=(0, 2, 3))) / 10 ** (snr / 20)
    if band_sigma is not None:
        sigma = np.broadcast_to(np.asarray(band_sigma, float), sigma.shape).copy()
    spread = np.broadcast_to(sigma[:, None, None], clean.shape)
    if shot:
        signal = np.maximum(clean, 0)
        spread = spread * np.sqrt(signal / np.maximum(signal.mean((0, 2, 3), keepdims=True), np.finfo(float).tiny))
    noisy = clean + spread * for_noise.standard_normal(clean.shape)

    footprint = tuple(slice(margin, margin + scale * size) for size in shape)
    pixels = np.moveaxis(np.indices(shape, dtype=float), 0, -1)
    fields = tuple(None if bend is None else np.moveaxis(bend(pixels), -1, 0).astype(np.float32) for bend in bends)
    return Simulation(
        frames=noisy.astype(np.float32),
        truth=np.asarray(scene[(slice(None), *footprint)], dtype=np.float32),
        motions=matrices,
        fields=fields,
        gains=gains,
        sigma=sigma,
        origin_yx=(margin, margin),
    )


Bend = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class _Camera:
    """An LR camera above a scene given by its spline coefficients ``(B, Y, X)``."""

    coefficients: Array
    kernel: Kernel
    scale: int
    margin: int
    shape: tuple[int, int]

    def see(self, matrix: Array, bend: Bend | None) -> Array:
        """The clean frame ``(B, h, w)`` under a motion."""
        if bend is None and is_translation(matrix):
            centres = [
                lr_to_hr(np.arange(size) - shift, self.scale) + self.margin
                for size, shift in zip(self.shape, matrix[:2, 2], strict=True)
            ]
            return self._expose(self.coefficients, centres, self.scale)
        return self._see_warped(matrix, bend)

    def _see_warped(self, matrix: Array, bend: Bend | None) -> Array:
        """Resample the moved scene on a finer grid of the frame's own, then let the pixels integrate over that."""
        density = OVERSAMPLING * self.scale
        pad = math.ceil(self.kernel.reach * density) + 12  # a spline feels its boundary as far as that
        axes = [(np.arange(-pad, size * density + pad) + 0.5) / density - 0.5 for size in self.shape]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        samples = lr_to_hr(_to_reference(points, matrix, bend), self.scale) + self.margin
        bands, *size = self.coefficients.shape
        warped = sample_matrix(samples, (size[0], size[1])) @ self.coefficients.reshape(bands, -1).T
        fine = spline_coefficients(warped.T.reshape(bands, *(len(axis) for axis in axes)))
        centres = [lr_to_hr(np.arange(size), density) + pad for size in self.shape]
        return self._expose(fine, centres, density)

    def _expose(self, coefficients: Array, centres: list[Array], samples_per_pixel: int) -> Array:
        total = np.zeros((len(coefficients), *(len(centre) for centre in centres)))
        for move, share in zip(self.kernel.moves, self.kernel.shares, strict=True):
            rows, columns = (
                pixel_matrix(self.kernel, centre + step * samples_per_pixel, samples_per_pixel, size)
                for centre, step, size in zip(centres, move, coefficients.shape[1:], strict=True)
            )
            total += share * (rows @ coefficients @ columns.T)
        return total


def _to_reference(points: Array, matrix: Array, bend: Bend | None) -> Array:
    """Reference points ``(P, 2)`` that are seen at `points` of a frame; fixed point where the motion is local."""
    inverse = np.linalg.inv(matrix)
    reference = apply_motion(inverse, points)
    if bend is not None:
        # The field changes by less than 0.3 px per px, so this leaves 1e-13 of the first error of a pixel.
        for _ in range(25):
            reference = apply_motion(inverse, points - bend(reference))
    return reference


def _layout(size: tuple[int, int], scale: int, motion: Motion, reach: float) -> tuple[int, tuple[int, int]]:
    """Margin in samples, and the shape of the LR frames that fit inside it."""
    if motion != "shift":
        reach += TILT * max(size) / scale / 2
    if motion == "homography":
        reach += 2.3 * PERSPECTIVE * max(size) / scale / 2  # both axes at a corner, and what the tilt adds to that
    if motion == "local":
        reach += BEND
    # the first LR pixel's centre lies half a pixel inside the footprint
    margin = max(math.ceil((reach - 0.5) * scale + 0.5), 0)
    height, width = ((n - 2 * margin) // scale for n in size)
    if min(height, width) < SMALLEST_FRAME:
        raise ConfigError(
            f"a scene of {size[0]} x {size[1]} pixels leaves LR frames of {max(height, 0)} x {max(width, 0)} at scale "
            f"{scale} with a margin of {margin} pixels; {SMALLEST_FRAME} is the least: take a larger scene, a smaller "
            "scale or a smaller max_shift"
        )
    return margin, (height, width)


def _draw_motions(
    rng: np.random.Generator, frames: int, motion: Motion, max_shift: float, shape: tuple[int, int]
) -> Array:
    """Motions ``(K, 3, 3)``, the first the identity; linear parts turn about the middle of the frame."""
    to_middle = translation([-(size - 1) / 2 for size in shape])
    matrices = [np.eye(3)]
    for _ in range(frames - 1):
        shift = translation(rng.uniform(-max_shift, max_shift, 2))
        if motion != "shift":
            turned = _draw_linear(rng)
            if motion == "homography":
                turned[2, :2] = rng.uniform(-PERSPECTIVE, PERSPECTIVE, 2) / (np.asarray(shape) / 2)
            shift = shift @ np.linalg.inv(to_middle) @ turned @ to_middle
        matrices.append(shift / shift[2, 2])
    return np.stack(matrices)


def _draw_linear(rng: np.random.Generator) -> Array:
    """A rotation after a shear and a scale of each axis, as a 3x3 matrix about the origin."""
    angle = rng.uniform(-ROTATION, ROTATION)
    scale_y, scale_x = 1 + rng.uniform(-STRETCH, STRETCH, 2)
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    linear = np.eye(3)
    linear[:2, :2] = rotation @ np.array([[scale_y, rng.uniform(-STRETCH, STRETCH)], [0, scale_x]])
    return linear


def _draw_bend(rng: np.random.Generator) -> Bend:
    """A smooth field ``(..., 2) -> (..., 2)``: three waves of 2 to 4 `SMOOTH` in any direction."""
    direction = rng.uniform(0, 2 * np.pi, 3)
    number = 2 * np.pi / rng.uniform(2 * SMOOTH, 4 * SMOOTH, 3)
    waves = number[:, None] * np.stack([np.sin(direction), np.cos(direction)], -1)
    phases = rng.uniform(0, 2 * np.pi, (3, 2))
    sizes = rng.uniform(0.3, 1, (3, 2))
    sizes *= BEND / sizes.sum(0)
    return lambda points: np.asarray((sizes * np.cos((points @ waves.T)[..., None] + phases)).sum(-2))


def _model(matrix: Array, field: Cubes | None) -> str:
    if field is not None:
        return "local"
    if is_translation(matrix):
        return "translation"
    return "homography" if matrix[2, :2].any() else "affine"

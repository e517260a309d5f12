"""The power spectrum of the scene: a power law by marginal likelihood, then the spectrum of the estimate itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import View
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
EXPONENTS = np.arange(1.5, 4.6, 0.25)
LEVELS = np.arange(-4.0, 4.1, 0.5)
"""Power laws tried: the level is log2 of the strength relative to the variance of the frames."""


def radial_frequencies(scale: int, shape: tuple[int, int]) -> Float64:
    """Radial frequencies, cycles per LR pixel, from one cycle per frame to the corner of the HR plane."""
    lowest = 1.0 / max(shape)
    return np.concatenate([[lowest / 2], np.geomspace(lowest, scale * np.sqrt(0.5), 24)])


def power_law(exponent: Float64, variance: Float64, frequency: Float64) -> PowerSpectrum:
    """Isotropic power laws ``|f|^-exponent``, each with the given total variance over the HR plane."""
    density = frequency[None, :] ** -exponent[:, None]
    ring = 2 * np.pi * frequency * np.gradient(frequency)
    total = (density * ring).sum(1, keepdims=True)
    return PowerSpectrum(frequency, density * variance[:, None] / total)


def fit_power_law(frames: list[Float32], psf: Psf, scale: int) -> PowerSpectrum:
    """Exponent and strength of each eigen-image's spectrum by marginal likelihood of the frames.

    The HR image is integrated out: an LR frequency of a frame is Gaussian with variance
    ``1 + sum over aliases of |H|^2 P``. Frames count as independent (a composite likelihood), which needs no motion
    and forgives what enters and leaves at the borders; their joint likelihood does neither.

    Args:
        frames: eigen-images ``(r, h_k, w_k)`` with noise of unit variance, masked pixels filled.
    """
    sizes: dict[tuple[int, int], list[Float64]] = {}
    for frame in frames:
        sizes.setdefault((frame.shape[1], frame.shape[2]), []).append(_frame_power(frame))
    frequency = radial_frequencies(scale, max(sizes, key=max))
    variance = np.maximum(np.mean([frame.var((1, 2)) for frame in frames], axis=0) - 1.0, 0.02)
    strength = 2.0 ** LEVELS[:, None] * variance  # (levels, r)
    best, choice = np.full(len(variance), -np.inf), np.zeros((len(variance), 2))
    for exponent in EXPONENTS:
        unit = power_law(np.full(1, exponent), np.ones(1), frequency)
        score = np.zeros(strength.shape)
        for shape, powers in sizes.items():
            canvas = Canvas((0, 0), shape, scale, View.whole(shape))
            blur = psf.on_grid(*canvas.frequencies) ** 2 * ~canvas.unpaired
            folded = (unit.at(canvas.radius)[0] * blur).sum(0).ravel()  # orthonormal LR power of the unit law
            weight = np.tile(canvas.half_weight, shape[0]).astype(float) * len(powers)
            weight[0] = 0.0
            mean = np.mean(powers, axis=0)  # frames of one size differ in their power alone
            for level, expected in enumerate(1.0 + strength[..., None] * folded):
                score[level] -= ((mean / expected + np.log(expected)) * weight).sum(1)
        winner = score.argmax(0)
        found = score.max(0)
        better = found > best
        best[better] = found[better]
        choice[better, 0], choice[better, 1] = exponent, LEVELS[winner[better]]
    return power_law(choice[:, 0], variance * 2.0 ** choice[:, 1], frequency)


def _frame_power(frame: Float32) -> Float64:
    """Power ``(r, L)`` of the orthonormal half-plane spectrum of a frame's periodic part."""
    return np.asarray(np.abs(np.fft.rfft2(periodic_part(frame), norm="ortho")) ** 2).reshape(len(frame), -1)


def radial_mean(power: Float64, radius: Float64, weight: Float64, frequency: Float64) -> Float64:
    """Radial average ``(r, n)`` of powers ``(r, N)`` at radii ``(N,)``, interpolated where a ring is empty."""
    edges = np.concatenate([[0.0], np.sqrt(frequency[1:] * frequency[:-1]), [np.inf]])
    ring = np.clip(np.digitize(radius, edges) - 1, 0, len(frequency) - 1)
    count = np.bincount(ring, weight, len(frequency))
    filled = count > 0
    out = []
    for row in power:
        mean = np.bincount(ring, row * weight, len(frequency))[filled] / count[filled]
        out.append(np.exp(np.interp(np.log(frequency), np.log(frequency[filled]), np.log(np.maximum(mean, 1e-12)))))
    return np.stack(out)


def spectrum_of(image: Float32, scale: int, frequency: Float64) -> PowerSpectrum:
    """Radial power spectrum of HR eigen-images ``(r, H, W)``."""
    _, h, w = image.shape
    spectrum = np.fft.fft2(periodic_part(image - image.mean((1, 2), keepdims=True)))
    power = np.abs(spectrum) ** 2 / (h * w) / scale**2
    radius = np.hypot(np.fft.fftfreq(h)[:, None] * scale, np.fft.fftfreq(w)[None, :] * scale)
    weight = (radius > 0).astype(float)
    rings = radial_mean(power.reshape(len(image), -1), radius.ravel(), weight.ravel(), frequency)
    return PowerSpectrum(frequency, rings)


def periodic_part(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Periodic component of images ``(..., h, w)``: no cross of boundary jumps in the spectrum (Moisan, JMIV 2011)."""
    u = np.asarray(image, float)
    h, w = u.shape[-2:]
    v = np.zeros_like(u)
    v[..., 0, :] += u[..., -1, :] - u[..., 0, :]
    v[..., -1, :] += u[..., 0, :] - u[..., -1, :]
    v[..., :, 0] += u[..., :, -1] - u[..., :, 0]
    v[..., :, -1] += u[..., :, 0] - u[..., :, -1]
    q, p = np.arange(h)[:, None], np.arange(w)[None, :]
    denominator = 2 * np.cos(2 * np.pi * q / h) + 2 * np.cos(2 * np.pi * p / w) - 4
    denominator[0, 0] = 1.0
    smooth = np.fft.fft2(v) / denominator
    smooth[..., 0, 0] = 0.0
    return np.asarray(u - np.fft.ifft2(smooth).real)

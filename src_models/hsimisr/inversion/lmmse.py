"""The LMMSE: the best linear estimate of the HR eigen-images given motion, PSF, noise and the scene's spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter

from hsimisr.geometry import View
from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.inversion.prior import radial_mean, spectrum_of
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import sampling_phases
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum, Registration

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def gradient_power(prior: PowerSpectrum, psf: Psf) -> Float64:
    """Mean squared derivative ``(r,)`` of the blurred eigen-images along one axis, per LR pixel squared.

    The integral of ``(2 pi f_y)^2 |H|^2 P`` over the frequency plane; `P` is isotropic, so is the result.
    """
    top = float(prior.frequency[-1])
    axis = np.linspace(-top, top, 161)
    fy, fx = np.meshgrid(axis, axis, indexing="ij")
    density = prior.at(np.hypot(fy, fx)) * psf.on_grid(fy, fx) ** 2 * (2 * np.pi * fy) ** 2
    return np.asarray(density.sum((1, 2)) * (axis[1] - axis[0]) ** 2)


def inflated(observations: Observations, registration: Registration, prior: PowerSpectrum, psf: Psf) -> Observations:
    """Count what the registration leaves open as noise: variance ``1 + tr(Cov) * gradient_power``."""
    trace = np.array([np.trace(registration.frames[k].covariance) for k in registration.included])
    extra = trace[:, None] * gradient_power(prior, psf)[None, :]
    variance = torch.from_numpy((1.0 + extra).astype(np.float32)).to(observations.data.device)
    return replace(observations, variance=variance)


def solve(
    observations: Observations,
    prior: PowerSpectrum,
    iterations: int,
    tolerance: float,
    start: torch.Tensor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> tuple[torch.Tensor, int, NormalEquations]:
    """Posterior mean as a spectrum ``(r, s*s, h, w//2+1)``, the number of steps and the equations solved."""
    equations = NormalEquations.build(observations, prior)
    spectrum, steps = conjugate_gradients(equations, iterations, tolerance, start, on_step)
    return spectrum, steps, equations


def view_image(canvas: Canvas, spectrum: torch.Tensor) -> Float32:
    """HR images ``(r, H, W)`` of the view, cut from the canvas."""
    image = canvas.to_image(spectrum)[(slice(None), *canvas.view_slices)]
    return np.ascontiguousarray(image.cpu().numpy(), dtype=np.float32)


KNOWN = 0.9
"""Share of the prior variance that the frames must have removed before a ring of the spectrum counts as seen."""
STEEPER = 1.5
"""Beyond the seen rings the spectrum falls this much faster than over the last of them, in log-log: optics and
detector have blurred the scene itself. Found on the real scenes, where it beats a plain continuation by 0.1 to 0.7 dB."""
TAIL_RINGS = 8


def fitted_prior(image: Float32, closed_form: ClosedForm, prior: PowerSpectrum) -> PowerSpectrum:
    """The spectrum of the estimate itself, corrected for what the estimate shrank, continued where nothing is seen.

    The posterior mean under `prior` P has power ``g^2 (P* + N)``, with ``g = 1 - V / P``, N the effective noise
    ``V / g`` and V the posterior variance; solved for the true power P* ring by ring. This is the fixed point that
    expectation maximisation of the spectrum would approach.

    Args:
        image: posterior mean ``(r, H, W)`` of the view.
        closed_form: posterior covariance under `prior`.
    """
    canvas, frequency = closed_form.canvas, prior.frequency
    radius = canvas.radius.ravel()
    weight = (np.broadcast_to(canvas.half_weight, canvas.radius.shape) * ~canvas.unpaired).ravel()
    variance = closed_form.spectrum_variance().cpu().numpy().astype(float) / canvas.scale**2
    seen = np.clip(1 - variance / prior.at(canvas.radius), 1e-6, 1)
    rank = len(variance)
    gain = radial_mean(seen.reshape(rank, -1), radius, weight, frequency)
    spread = radial_mean(variance.reshape(rank, -1), radius, weight, frequency)
    found = spectrum_of(image, canvas.scale, frequency).power
    power = np.maximum(found / gain**2 - spread / gain, 1e-3 * prior.power)
    return PowerSpectrum(frequency, np.stack([_continued(*rows, frequency) for rows in zip(power, gain, prior.power, strict=True)]))


def _continued(power: Float64, gain: Float64, fallback: Float64, frequency: Float64) -> Float64:
    """A spectrum ``(n,)`` whose rings beyond the first unseen one follow a steepened power law."""
    unseen = np.flatnonzero(gain < KNOWN)
    end = int(unseen[0]) if unseen.size else len(power)
    if end < 6:
        return fallback
    log_f, log_p = np.log(frequency), np.log(power)
    tail = slice(max(0, end - TAIL_RINGS), end)
    slope = np.clip(STEEPER * np.polyfit(log_f[tail], log_p[tail], 1)[0], -6.0, -2.0)
    anchor = slice(max(0, end - 3), end)
    level = log_p[anchor].mean() - slope * log_f[anchor].mean()
    out = power.copy()
    out[end:] = np.exp(level + slope * log_f[end:])
    return out


def posterior_variance(observations: Observations, prior: PowerSpectrum, psf: Psf) -> Float32:
    """Posterior variance ``(r, H, W)`` of the view's eigen-images, noise units.

    Exact for pure shifts where all frames are seen; where fewer are, it is interpolated over their number, which is
    what masks and borders change first.
    """
    canvas = observations.canvas
    s, device = canvas.scale, observations.data.device
    small = Canvas((0, 0), (24, 24), s, View(0, 24, 0, 24))
    precision = prior_precision(prior, small, device)
    phases = sampling_phases(small, psf, observations.operator.shifts, device)
    trust = observations.trust
    k = len(phases)
    counts = sorted({0, 1, 2, k, *(2**n for n in range(2, k.bit_length()))} & set(range(k + 1)))
    levels, pattern = [], torch.ones(1)
    for count in counts:
        weight = trust.clone()
        weight[count:] = 0
        pattern = ClosedForm.build(small, phases, weight, precision).pixel_variance()
        levels.append(pattern.mean((1, 2)).cpu().numpy())
    pattern = pattern / pattern.mean((1, 2), keepdim=True)
    seen = uniform_filter(observations.coverage.cpu().numpy() / float(trust.max()), 3, mode="nearest")
    sy, sx = canvas.view_slices
    seen = seen[sy.start // s : sy.stop // s, sx.start // s : sx.stop // s]
    log = np.log(np.maximum(np.stack(levels, 1), 1e-12))
    maps = np.stack([np.exp(np.interp(seen, counts, row)) for row in log])
    fine = np.kron(maps, np.ones((1, s, s)))
    return np.asarray(fine * np.tile(pattern.cpu().numpy(), (1, *maps.shape[1:])), dtype=np.float32)

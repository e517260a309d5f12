"""The PSF found from the frames themselves: the detector box times a Gaussian, with standard errors.

Frames of known motion determine the spectrum of the *blurred* scene ``|H|^2 P`` and no more, so blur and scene are told
apart by the shape of P alone: a power law as an HR pixel sees it, with a level and a direction of its own for each
eigen-image. Registered frames show it beyond the LR Nyquist frequency, where a blur bends it far more than any exponent
does. What is left is that scenes differ, and the standard errors say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.physics.psf import box_with
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.psf_scoring import BlurFit, BlurredScene, fit_blur
from hsimisr.registration.psf_width import blurred_box, fwhm

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MOST_FRAMES = 16
"""Frames that take part: scenes differ by more than any further ones would tell."""
SCENES_DIFFER = 0.05
SCENES_DIFFER_ALONE = 0.08
SCENES_STRETCH = 0.06
"""By how much such scenes pass for wider or narrower PSFs than they were seen with, in several frames and in one alone,
and for elongated ones: standard deviations, LR pixels squared, of the variance and of the difference between the axes'
variances."""
ELONGATED = 5.99
"""Squared difference over its variance from which on a PSF has two axes: the 95 % quantile of chi-square with two
degrees of freedom."""


@dataclass(frozen=True)
class FoundPsf:
    """A PSF and how well it is known.

    Attributes:
        spec: what `Psf.parse` takes.
        fwhm: width along the long axis and across, LR pixels.
        angle: of the long axis, degrees from y towards x; 0 for a round PSF.
        stderr: standard errors of both widths and of the angle; 0 for the angle of a round PSF.
    """

    spec: str
    fwhm: tuple[float, float]
    angle: float
    stderr: tuple[float, float, float]


def estimate_psf(
    frames: list[Float32],
    masks: list[Mask],
    registration: Registration,
    scale: int,
    device: torch.device,
    on_step: Callable[[int], None] | None = None,
    starts: list[tuple[int, int]] | None = None,
    offsets: list[Array] | None = None,
) -> FoundPsf:
    """Find the PSF of registered frames; round unless the frames speak for two axes.

    Frames that moved by pure shifts are used together. Under any other motion, and where there is one frame, what lies
    beyond the LR Nyquist frequency is known folded only: the reference alone tells a round width then, less surely.

    Args:
        frames: eigen-images ``(r, h_k, w_k)``, the strongest first, noise of unit variance.
        masks: ``(h_k, w_k)``, True where measured.
        registration: the motion, LR pixels; what its covariance leaves open counts as noise.
        scale: HR pixels per LR pixel.
        on_step: called before each round; may raise to stop.
        starts: frame pixel at which each array begins, where frames were read in part only.
        offsets: offset ``(r,)`` of each frame's eigen-images, noise units.
    """
    rounds = count()

    def on_round() -> None:
        if on_step is not None:
            on_step(next(rounds))

    together = registration.is_shift and len(registration.included) > 1
    if not together:
        k = registration.reference if registration.reference in registration.included else registration.included[0]
        frames, masks, registration = [frames[k]], [masks[k]], Registration((FrameMotion(np.eye(3)),))
        starts, offsets = None, None
    registration = _thinned(registration)
    scene = BlurredScene.of(frames, masks, registration, scale, device, starts, offsets)
    round_fit = fit_blur(scene, BlurFit.start(scene), elongated=False, on_round=on_round)
    if not together:
        return _round(round_fit, SCENES_DIFFER_ALONE)
    free_fit = fit_blur(scene, round_fit, elongated=True, on_round=on_round)
    difference = np.array([free_fit.gaussian.yy - free_fit.gaussian.xx, 2 * free_fit.gaussian.yx])
    contrast = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 2.0]])
    spread = contrast @ free_fit.covariance[:3, :3] @ contrast.T + SCENES_STRETCH**2 * np.eye(2)
    if difference @ np.linalg.solve(spread, difference) < ELONGATED:
        return _round(round_fit, SCENES_DIFFER)
    return _with_axes(free_fit, difference, spread)


def _round(fit: BlurFit, scenes_differ: float) -> FoundPsf:
    error = _width_error(fit.gaussian.yy, math.sqrt(fit.covariance[0, 0] + scenes_differ**2))
    spec = box_with(fit.gaussian)
    along, across, angle = fwhm(spec)
    return FoundPsf(spec, (along, across), angle, (error, error, 0.0))


def _thinned(registration: Registration) -> Registration:
    """The same motion with frames left out, evenly, until no more than `MOST_FRAMES` are used."""
    used = registration.included
    if len(used) <= MOST_FRAMES:
        return registration
    kept = {used[i * len(used) // MOST_FRAMES] for i in range(MOST_FRAMES)}
    frames = tuple(replace(f, excluded=f.excluded or k not in kept) for k, f in enumerate(registration.frames))
    return replace(registration, frames=frames)


def _with_axes(fit: BlurFit, difference: Array, spread: Array) -> FoundPsf:
    """The elongated PSF of a fit; errors of its axes and angle follow from those of the covariance's elements."""
    length = float(np.hypot(*difference))
    along, across, _ = fit.gaussian.axes
    direction = difference / length
    normal = np.array([-direction[1], direction[0]])
    turn = math.degrees(math.sqrt(normal @ spread @ normal) / length) / 2
    mean = np.array([0.5, 0.5, 0.0])
    of_mean = mean @ fit.covariance[:3, :3] @ mean + SCENES_DIFFER**2
    sigma = math.sqrt(of_mean + direction @ spread @ direction / 4)
    spec = box_with(fit.gaussian)
    *widths, angle = fwhm(spec)
    return FoundPsf(
        spec, (widths[0], widths[1]), angle, (_width_error(along, sigma), _width_error(across, sigma), min(turn, 90.0))
    )


def _width_error(variance: float, sigma: float) -> float:
    """Standard error of a width: how far it moves as the Gaussian's variance moves by its own, the larger way."""
    width = blurred_box(variance)
    return max(blurred_box(variance + sigma) - width, width - blurred_box(max(variance - sigma, 0.0)))

"""The LMMSE: the best linear estimate of the HR eigen-images given motion, PSF, noise and the scene's spectrum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.contrast import local_contrast, whitened_power
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
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
    """Count what the registration leaves open as noise: ``tr(Cov) * gradient_power`` more of it."""
    trace = np.array([np.trace(registration.frames[k].covariance) for k in registration.included])
    extra = trace[:, None] * gradient_power(prior, psf)[None, :]
    more = torch.from_numpy(extra.astype(np.float32)).to(observations.data.device)
    return replace(observations, variance=observations.variance + more)


@dataclass(frozen=True, eq=False)
class Solution:
    """Posterior mean as a spectrum ``(r, s*s, h, w//2+1)``, the equations it solves, and the steps it took.

    `contrast` is the map ``(H, W)`` that the prior followed, or None for a stationary prior, and `levels` the mean
    whitened power in each round.
    """

    spectrum: torch.Tensor
    equations: NormalEquations
    steps: int
    contrast: torch.Tensor | None = None
    levels: tuple[float, ...] = ()


def solve(
    observations: Observations,
    prior: PowerSpectrum,
    config: LmmseConfig,
    on_step: Callable[[int], None] | None = None,
    start: torch.Tensor | None = None,
) -> Solution:
    """The posterior mean under a stationary prior; `start` is a spectrum to begin from."""
    equations = NormalEquations.build(observations, prior)
    spectrum, steps = conjugate_gradients(equations, config.iterations, config.tolerance, start, on_step)
    return Solution(spectrum, equations, steps)


def solve_near(
    near: Solution,
    observations: Observations,
    config: LmmseConfig,
    on_step: Callable[[int], None] | None = None,
) -> Solution:
    """The posterior mean from other observations of a scene, under prior and contrast of a solution near by."""
    equations = NormalEquations.under(observations, near.equations.precision, near.contrast)
    spectrum, steps = conjugate_gradients(equations, config.iterations, config.tolerance, near.spectrum, on_step)
    return replace(near, spectrum=spectrum, equations=equations, steps=steps)


def follow_contrast(
    stationary: Solution,
    config: LmmseConfig,
    levels: Sequence[float] = (),
    on_step: Callable[[int], None] | None = None,
) -> Solution:
    """The posterior mean under a prior whose strength follows the local contrast of the estimate, in a few rounds.

    Args:
        levels: mean whitened power of the scene in each round, so that every view and tile agrees on what is flat;
            where there are none, the view's own mean.
    """
    found, equations = stationary, stationary.equations
    canvas = equations.observations.canvas
    unseen = _unseen(equations.observations)
    measured = []
    for n in range(config.rounds):
        power = whitened_power(canvas, equations.precision, found.spectrum)
        measured.append(levels[n] if n < len(levels) else float(power[canvas.view_slices].mean()))
        contrast = local_contrast(power, measured[-1]).masked_fill(unseen, 1.0)
        local = equations.with_contrast(contrast)
        spectrum, steps = conjugate_gradients(local, config.iterations, config.tolerance, found.spectrum, on_step)
        found = Solution(spectrum, local, found.steps + steps, contrast, tuple(measured))
    return found


def _unseen(observations: Observations) -> torch.Tensor:
    """HR pixels ``(H, W)`` of the view that no frame measured: their contrast is unknown, not low."""
    canvas, s = observations.canvas, observations.canvas.scale
    unseen = (observations.coverage == 0).repeat_interleave(s, 0).repeat_interleave(s, 1)
    view = torch.zeros_like(unseen)
    view[canvas.view_slices] = True
    return unseen & view


def view_image(canvas: Canvas, spectrum: torch.Tensor) -> Float32:
    """HR images ``(r, H, W)`` of the view, cut from the canvas."""
    image = canvas.to_image(spectrum)[(slice(None), *canvas.view_slices)]
    return np.ascontiguousarray(image.cpu().numpy(), dtype=np.float32)

"""The baselines that use the observation model: iterative back-projection and MAP with total variation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.observations import Observations

INNER_STEPS = 4
"""Conjugate-gradient steps, warm started, in each round of the total-variation solver."""


def back_project(
    observations: Observations, start: torch.Tensor, iterations: int, on_step: Callable[[int], None] | None = None
) -> torch.Tensor:
    """Iterative back-projection (Irani and Peleg, CVGIP 53(3), 1991): gradient steps on the misfit, stopped early.

    Args:
        start: spectrum to start from.
    """
    operator = observations.operator
    step = observations.canvas.scale**2 / float(observations.precision.amax((1, 2, 3)).sum())
    spectrum = start
    for n in range(iterations):
        if on_step is not None:
            on_step(n)
        error = observations.data - operator.forward(spectrum)
        spectrum = spectrum + step * operator.adjoint(observations.precision * error)
    return spectrum


def total_variation(
    observations: Observations,
    start: torch.Tensor,
    strength: float,
    iterations: int,
    on_step: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """MAP estimate under ``sum |grad x| / b`` per eigen-image, by the alternating direction method of multipliers.

    b is set by the start image: the isotropic Laplace law has mean gradient 2 b. (Rudin, Osher and Fatemi, 1992;
    Marquina and Osher, J. Sci. Comput. 37, 2008, for super-resolution.)

    Args:
        start: spectrum of a first estimate without noise amplification, such as the mean of the frames.
        strength: factor on the weight that the start image suggests.
    """
    canvas = observations.canvas
    image = canvas.to_image(start)
    mean_gradient = torch.linalg.vector_norm(_gradient(image), dim=1).mean((-2, -1)).clamp_min(1e-3)
    weight = (strength * 2 / mean_gradient)[:, None, None]
    penalty = weight[:, 0, 0] / mean_gradient  # so that the typical gradient is about the shrinkage threshold
    fy, fx = (torch.from_numpy(f).to(image.device) for f in canvas.frequencies)
    waves = torch.cos(2 * torch.pi * fy / canvas.scale) + torch.cos(2 * torch.pi * fx / canvas.scale)
    laplacian = (4 - 2 * waves).float()
    precision = penalty[:, None, None, None] * laplacian + 1e-6
    equations = NormalEquations.under(observations, precision)
    spectrum = start
    dual = torch.zeros_like(_gradient(image))
    threshold = (weight / penalty[:, None, None])[:, None]
    for n in range(iterations):
        if on_step is not None:
            on_step(n)
        shifted = _gradient(canvas.to_image(spectrum)) + dual
        length = torch.linalg.vector_norm(shifted, dim=1, keepdim=True)
        split = shifted * (1 - threshold / length.clamp_min(1e-12)).clamp_min(0)
        dual = shifted - split
        pull = canvas.to_spectrum(_divergence(split - dual)) * penalty[:, None, None, None]
        pulled = replace(equations, right_side=equations.right_side + pull)
        spectrum, _ = conjugate_gradients(pulled, INNER_STEPS, 1e-6, spectrum)
    return spectrum


def _gradient(image: torch.Tensor) -> torch.Tensor:
    """Periodic forward differences ``(r, 2, H, W)``."""
    return torch.stack([image.roll(-1, -2) - image, image.roll(-1, -1) - image], 1)


def _divergence(field: torch.Tensor) -> torch.Tensor:
    """Transpose of `_gradient`."""
    y, x = field[:, 0], field[:, 1]
    return y.roll(1, -2) - y + x.roll(1, -1) - x

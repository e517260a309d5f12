"""Local contrast: where a scene is busy and where it is flat, so that the prior can be weak there and strong here.

A stationary prior rings at edges, and what rings into dark and flat ground bends its spectra most. With the whitened
image ``u = Q^(1/2) x``, the prior becomes ``x' Q^(1/2) diag(1 / v) Q^(1/2) x``: still Gaussian, the estimate still
linear in the frames once the map v is known, and v is the local power of u (a Gaussian scale mixture in the sense of
Portilla et al., IEEE TIP 12(11), 2003). All eigen-images share v: edges lie at the same places in all of them.
"""

from __future__ import annotations

import torch
from scipy.ndimage import gaussian_filter

from hsimisr.physics.canvas import Canvas

WIDTH = 1.0
"""Gaussian width, HR pixels, over which the power is averaged."""
LOWEST, HIGHEST = 0.03, 100.0
"""Limits of v; its mean over the scene is 1."""


def whitened_power(canvas: Canvas, precision: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
    """Power ``(H, W)`` of the whitened estimate around each HR pixel of the canvas, summed over eigen-images.

    Args:
        precision: stationary prior precision ``(r, s*s, h, w//2+1)``.
        spectrum: the estimate so far, same shape.
    """
    whitened = canvas.to_image(precision.sqrt() * spectrum)
    power = gaussian_filter((whitened**2).sum(0).cpu().numpy(), WIDTH, mode="wrap")
    return torch.from_numpy(power).to(spectrum.device)


def local_contrast(power: torch.Tensor, level: float) -> torch.Tensor:
    """The map v ``(H, W)``: whitened power relative to `level`, its mean over the scene, within limits."""
    return (power / max(level, 1e-12)).clamp(LOWEST, HIGHEST)

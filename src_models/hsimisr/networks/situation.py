"""What the refiner is told about one view: the linear estimate, the frames, and how well both are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hsimisr.inversion.lmmse import Solution
from hsimisr.networks.consistency import Consistency
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.observations import Observations, canvas_offset
from hsimisr.physics.types import FrameMotion

LEAST_SPREAD = 0.14
"""Eigen-images count as spread by at least this much, noise units: nothing is divided by less."""


@dataclass(frozen=True, eq=False)
class Situation:
    """One view on its canvas, in noise units.

    Attributes:
        image: linear estimate ``(r, H, W)``.
        spread: standard deviation of each eigen-image over the view ``(r,)``.
        error: expected error of each eigen-image ``(r,)``, root mean square.
        contrast: map ``(H, W)`` that the prior followed, 1 where it did not.
        residual: ``(K, r, h, w)``, what the linear estimate leaves of the frames, in standard deviations; 0 unseen.
        positions: ``(K, h, w, 2)``, canvas pixel ``(y, x)`` at which frame k shows what the reference shows at (i, j).
        consistency: the data-consistency step.
    """

    image: torch.Tensor
    spread: torch.Tensor
    error: torch.Tensor
    contrast: torch.Tensor
    residual: torch.Tensor
    positions: torch.Tensor
    consistency: Consistency

    @property
    def observations(self) -> Observations:
        return self.consistency.observations

    @property
    def canvas(self) -> Canvas:
        return self.observations.canvas

    @classmethod
    def of(cls, found: Solution, motions: Sequence[FrameMotion]) -> Situation:
        """From a linear solution and the motions of the K frames that took part."""
        o, canvas = found.equations.observations, found.equations.observations.canvas
        image = canvas.to_image(found.spectrum)
        error = found.equations.closed_form.pixel_variance().mean((1, 2)).clamp_min(1e-8).sqrt()
        spread = image[(slice(None), *canvas.view_slices)].std((1, 2)).clamp_min(LEAST_SPREAD)
        contrast = torch.ones(canvas.hr_shape, device=image.device) if found.contrast is None else found.contrast
        residual = (o.data - o.operator.forward(found.spectrum)) * o.precision.sqrt()
        positions = torch.from_numpy(_positions(canvas, motions)).to(image.device)
        return cls(image, spread, error, contrast, residual, positions, Consistency.of(found.equations))


def _positions(canvas: Canvas, motions: Sequence[FrameMotion]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    pixels = np.moveaxis(np.indices(canvas.shape), 0, -1) + np.asarray(canvas.origin, float)
    places = [forward_motion(m, pixels) - canvas_offset(m, canvas) - np.asarray(canvas.origin) for m in motions]
    return np.stack(places).astype(np.float32)

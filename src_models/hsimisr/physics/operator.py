"""The observation operator A and its exact adjoint for frames that moved by pure shifts, all on one canvas.

A takes a spectrum (see `Canvas`) to the K frames on the LR canvas ``(K, r, h, w)``. Frame k on the canvas
is moved by a whole number of pixels first (`Observations`), so that only a fraction of a pixel is left for A.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.physics.canvas import Canvas
from hsimisr.physics.psf import Psf


class ObservationOperator(Protocol):
    """What the solvers need of an observation model.

    `shifts` ``(K, 2)`` and `phases` ``(K, s*s, h, w//2+1)`` describe the frames as if they moved by pure shifts;
    `uniform` tells whether they do.
    """

    uniform: bool
    canvas: Canvas
    psf: Psf
    shifts: npt.NDArray[np.float64]
    phases: torch.Tensor

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Frames ``(K, r, h, w)`` of the HR images of a spectrum ``(r, s*s, h, w//2+1)``."""
        ...

    def adjoint(self, frames: torch.Tensor) -> torch.Tensor:
        """Spectrum of the transpose of `forward` applied to ``(K, r, h, w)``."""
        ...

    def adjoint_of(self, frame: int, values: torch.Tensor) -> torch.Tensor:
        """`adjoint` of frames that are zero but for one, ``(r, h, w)``."""
        ...

    def derivative(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Derivative ``(K, 2, r, h, w)`` of `forward` as the content of each frame moves, per LR pixel (y, x)."""
        ...


def sampling_phases(canvas: Canvas, psf: Psf, shifts: npt.NDArray[np.float64], device: torch.device) -> torch.Tensor:
    """Response ``(K, s*s, h, w//2+1)`` of each LR frame, moved by `shifts` (K, 2) LR pixels, to each HR frequency."""
    s = canvas.scale
    fy, fx = (torch.from_numpy(f).to(device) for f in canvas.frequencies)
    blur = psf.on_grid(*canvas.frequencies) / s**2
    blur[canvas.unpaired] = 0.0
    centre = (s - 1) / (2 * s)
    d = torch.as_tensor(shifts, dtype=torch.float64, device=device)[:, :, None, None, None]
    angle = 2 * math.pi * (fy * (centre - d[:, 0]) + fx * (centre - d[:, 1]))
    return torch.polar(torch.from_numpy(blur).to(device).expand_as(angle).contiguous(), angle).to(torch.complex64)


def slopes(canvas: Canvas, spectrum: torch.Tensor) -> list[torch.Tensor]:
    """Spectra of how images change as their content moves down and right, per LR pixel."""
    factors = [torch.from_numpy(f).to(spectrum.device, torch.float32) * (-2 * math.pi) for f in canvas.frequencies]
    return [torch.complex(-spectrum.imag * factor, spectrum.real * factor) for factor in factors]


class ShiftOperator:
    """A for pure shifts: one complex factor per HR frequency and frame, folded to the LR grid.

    Args:
        shifts: ``(K, 2)`` LR pixels, content of frame k moved down and right by them.
    """

    uniform = True

    def __init__(self, canvas: Canvas, psf: Psf, shifts: npt.NDArray[np.float64], device: torch.device) -> None:
        self.canvas = canvas
        self.psf = psf
        self.shifts = shifts
        self.phases = sampling_phases(canvas, psf, shifts, device)
        k, a = self.phases.shape[:2]
        self._rows = self.phases.reshape(k, a, -1).permute(2, 0, 1).contiguous()  # (L, K, s*s)
        self._columns = (self._rows.mH * canvas.scale**2).contiguous()  # (L, s*s, K)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        r, a = spectrum.shape[:2]
        folded = self._rows @ spectrum.reshape(r, a, -1).permute(2, 1, 0)
        h, w = self.canvas.shape
        lr = folded.permute(1, 2, 0).reshape(-1, r, h, self.canvas.half_width)
        return torch.fft.irfft2(lr, s=(h, w))

    def adjoint(self, frames: torch.Tensor) -> torch.Tensor:
        k, r = frames.shape[:2]
        lr = torch.fft.rfft2(frames).reshape(k, r, -1)
        unfolded = self._columns @ lr.permute(2, 0, 1)
        return unfolded.permute(2, 1, 0).reshape(r, -1, self.canvas.shape[0], self.canvas.half_width)

    def adjoint_of(self, frame: int, values: torch.Tensor) -> torch.Tensor:
        lr = torch.fft.rfft2(values).reshape(len(values), 1, -1)
        unfolded = self._columns[:, :, frame].T * lr
        return unfolded.reshape(len(values), -1, self.canvas.shape[0], self.canvas.half_width)

    def derivative(self, spectrum: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.forward(slope) for slope in slopes(self.canvas, spectrum)], 1)

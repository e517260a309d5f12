"""The observation operator A and its exact adjoint: warp, blur, sample, for every frame on one canvas.

Both operators take a spectrum (see `Canvas`) to the K frames on the LR canvas ``(K, r, h, w)``. Frame k on the canvas
is moved by a whole number of pixels first (`Observations`), so that only a fraction of a pixel is left for A.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.geometry import hr_to_lr, lr_to_hr
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion


class ObservationOperator(Protocol):
    """What the solvers need of an observation model.

    `shifts` ``(K, 2)`` and `phases` ``(K, s*s, h, w//2+1)`` describe the frames as if they moved by pure shifts.
    """

    canvas: Canvas
    shifts: npt.NDArray[np.float64]
    phases: torch.Tensor

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Frames ``(K, r, h, w)`` of the HR images of a spectrum ``(r, s*s, h, w//2+1)``."""
        ...

    def adjoint(self, frames: torch.Tensor) -> torch.Tensor:
        """Spectrum of the transpose of `forward` applied to ``(K, r, h, w)``."""
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


class ShiftOperator:
    """A for pure shifts: one complex factor per HR frequency and frame, folded to the LR grid.

    Args:
        shifts: ``(K, 2)`` LR pixels, content of frame k moved down and right by them.
    """

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
        """`adjoint` of frames that are zero but for one, ``(r, h, w)``."""
        lr = torch.fft.rfft2(values).reshape(len(values), 1, -1)
        unfolded = self._columns[:, :, frame].T * lr
        return unfolded.reshape(len(values), -1, self.canvas.shape[0], self.canvas.half_width)

    def derivative(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Derivative of `forward` with respect to each frame's shift, ``(K, 2, r, h, w)`` per LR pixel."""
        parts = []
        for f in self.canvas.frequencies:
            factor = torch.from_numpy(f).to(spectrum.device, torch.float32) * (-2 * math.pi)
            parts.append(self.forward(torch.complex(-spectrum.imag * factor, spectrum.real * factor)))
        return torch.stack(parts, 1)


class WarpOperator:
    """A for any motion: cubic B-spline warp to each frame's HR grid, then blur and sampling.

    Args:
        motions: how each frame moves, a matrix and perhaps a local field.
        offsets: ``(K, 2)`` whole pixels by which each frame was moved onto the canvas.
    """

    def __init__(
        self,
        canvas: Canvas,
        psf: Psf,
        motions: list[FrameMotion],
        offsets: npt.NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self.canvas = canvas
        taps = [_spline_taps(canvas, motion, offset) for motion, offset in zip(motions, offsets, strict=True)]
        self._index = torch.stack([torch.from_numpy(index) for index, _ in taps]).to(device)
        self._weight = torch.stack([torch.from_numpy(weight) for _, weight in taps]).to(device)
        fy, fx = (np.cos(2 * np.pi * f / canvas.scale) for f in canvas.frequencies)
        self._prefilter = torch.from_numpy(9 / ((2 + fy) * (2 + fx))).to(device, torch.float32)
        self._sample = ShiftOperator(canvas, psf, np.zeros((1, 2)), device)
        self.shifts = _central_shifts(canvas, motions, offsets)
        self.phases = sampling_phases(canvas, psf, self.shifts, device)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        r = spectrum.shape[0]
        flat = self.canvas.to_image(spectrum * self._prefilter).reshape(r, -1)
        out = []
        for index, weight in zip(self._index, self._weight, strict=True):
            warped = sum(flat[:, i] * w for i, w in zip(index, weight, strict=True))
            assert isinstance(warped, torch.Tensor)
            image = warped.reshape(r, *self.canvas.hr_shape)
            out.append(self._sample.forward(self.canvas.to_spectrum(image))[0])
        return torch.stack(out)

    def adjoint(self, frames: torch.Tensor) -> torch.Tensor:
        r = frames.shape[1]
        total = torch.zeros(r, math.prod(self.canvas.hr_shape), device=frames.device)
        for frame, index, weight in zip(frames, self._index, self._weight, strict=True):
            image = self.canvas.to_image(self._sample.adjoint(frame[None])).reshape(r, -1)
            for i, w in zip(index, weight, strict=True):
                total.index_add_(1, i, image * w)
        return self.canvas.to_spectrum(total.reshape(r, *self.canvas.hr_shape)) * self._prefilter


def _frame_points(canvas: Canvas, offset: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Frame coordinates ``(H, W, 2)``, LR pixels, of the HR grid of a frame that was moved onto the canvas."""
    axes = [
        hr_to_lr(np.arange(n), canvas.scale) + o + d
        for n, o, d in zip(canvas.hr_shape, canvas.origin, offset, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _spline_taps(
    canvas: Canvas, motion: FrameMotion, offset: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Pixels and weights ``(16, H*W)`` of cubic B-spline interpolation at each point of the frame's HR grid."""
    reference = invert_motion(motion, _frame_points(canvas, offset))
    position = lr_to_hr(reference - np.asarray(canvas.origin), canvas.scale)
    whole = np.floor(position).astype(np.int64)
    weights = _bspline3(position - whole)  # (4, H, W, 2)
    height, width = canvas.hr_shape
    rows = [(whole[..., 0] + tap - 1) % height for tap in range(4)]
    cols = [(whole[..., 1] + tap - 1) % width for tap in range(4)]
    index = np.stack([(row * width + col).ravel() for row in rows for col in cols])
    weight = np.stack([(wy * wx).ravel() for wy in weights[..., 0] for wx in weights[..., 1]])
    return index, weight.astype(np.float32)


def _bspline3(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of the four cubic B-spline coefficients around a position with fraction `t`."""
    return np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6


def _central_shifts(
    canvas: Canvas, motions: list[FrameMotion], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The shift of each frame at the centre of the view: what a preconditioner takes the motion for."""
    centre = np.asarray(canvas.view.origin) + (np.asarray(canvas.view.shape) - 1) / 2
    shifts = []
    for motion, offset in zip(motions, offsets, strict=True):
        moved = centre + offset
        shifts.append(moved - invert_motion(motion, moved[None])[0])
    return np.stack(shifts) - offsets

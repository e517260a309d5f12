"""The observation operator A and its exact adjoint for frames that moved in any way: warp, blur, sample."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch

from hsimisr.geometry import hr_to_lr, lr_to_hr
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.operator import sampling_phases, slopes
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")


class WarpOperator:
    """A for any motion: cubic B-spline warp to each frame's HR grid, then blur and sampling there.

    The blur acts in the frame's own pixels, as the camera's does: blurring on the reference grid, which would leave
    less to interpolate, costs 0.3 to 0.8 dB where the motion bends or the PSF is a box.

    Args:
        motions: how each frame moves, a matrix and perhaps a local field.
        offsets: ``(K, 2)`` whole pixels by which each frame was moved onto the canvas.
    """

    uniform = False

    def __init__(
        self,
        canvas: Canvas,
        psf: Psf,
        motions: list[FrameMotion],
        offsets: npt.NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self.canvas = canvas
        self.psf = psf
        warps = [_interpolation(canvas, motion, offset) for motion, offset in zip(motions, offsets, strict=True)]
        self._warps = [_to_torch(warp, device) for warp in warps]
        self._transposes = [_to_torch(warp.T.tocsr(), device) for warp in warps]
        self._prefilter = _prefilter(canvas, device)
        self._blur = sampling_phases(canvas, psf, np.zeros((1, 2)), device)[0]
        self.shifts = _central_shifts(canvas, motions, offsets)
        self.phases = sampling_phases(canvas, psf, self.shifts, device)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        return torch.stack([self._sampled(warped) for warped in self._warped(spectrum)])

    def derivative(self, spectrum: torch.Tensor) -> torch.Tensor:
        moving = (slopes(self.canvas, warped) for warped in self._warped(spectrum))
        return torch.stack([torch.stack([self._sampled(slope) for slope in pair]) for pair in moving])

    def adjoint(self, frames: torch.Tensor) -> torch.Tensor:
        total = torch.stack([self._unwarped(k, frame) for k, frame in enumerate(frames)]).sum(0)
        return self._from_columns(total)

    def adjoint_of(self, frame: int, values: torch.Tensor) -> torch.Tensor:
        return self._from_columns(self._unwarped(frame, values))

    def _warped(self, spectrum: torch.Tensor) -> list[torch.Tensor]:
        """Spectrum of each frame's HR image, in the frame's own pixels."""
        r = spectrum.shape[0]
        columns = self.canvas.to_image(spectrum * self._prefilter).reshape(r, -1).T.contiguous()
        images = ((warp @ columns).T.reshape(r, *self.canvas.hr_shape) for warp in self._warps)
        return [self.canvas.to_spectrum(image) for image in images]

    def _sampled(self, spectrum: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft2((spectrum * self._blur).sum(1), s=self.canvas.shape)

    def _unwarped(self, frame: int, values: torch.Tensor) -> torch.Tensor:
        """What one frame's values ``(r, h, w)`` put back onto the HR grid, as columns ``(H*W, r)``."""
        spectrum = torch.fft.rfft2(values)[:, None] * (self._blur.conj() * self.canvas.scale**2)
        return self._transposes[frame] @ self.canvas.to_image(spectrum).reshape(len(values), -1).T.contiguous()

    def _from_columns(self, columns: torch.Tensor) -> torch.Tensor:
        return self.canvas.to_spectrum(columns.T.reshape(-1, *self.canvas.hr_shape)) * self._prefilter


def warped(canvas: Canvas, spectrum: torch.Tensor, motion: FrameMotion) -> torch.Tensor:
    """Spectrum ``(r, s*s, h, w//2+1)`` of images whose content moved as a frame's does."""
    warp = _to_torch(_interpolation(canvas, motion, np.zeros(2, np.int64)), spectrum.device)
    columns = canvas.to_image(spectrum * _prefilter(canvas, spectrum.device)).flatten(1).T.contiguous()
    return canvas.to_spectrum((warp @ columns).T.reshape(len(spectrum), *canvas.hr_shape))


def _prefilter(canvas: Canvas, device: torch.device) -> torch.Tensor:
    """What takes a spectrum to that of its cubic B-spline coefficients, ``(s*s, h, w//2+1)``."""
    fy, fx = (np.cos(2 * np.pi * f / canvas.scale) for f in canvas.frequencies)
    return torch.from_numpy(9 / ((2 + fy) * (2 + fx))).to(device, torch.float32)


def _to_torch(matrix: scipy.sparse.csr_matrix, device: torch.device) -> torch.Tensor:
    starts, columns, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(starts, columns, values, matrix.shape, device=device, check_invariants=False)


def _frame_points(canvas: Canvas, offset: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Frame coordinates ``(H, W, 2)``, LR pixels, of the HR grid of a frame that was moved onto the canvas."""
    axes = [
        hr_to_lr(np.arange(n), canvas.scale) + o + d
        for n, o, d in zip(canvas.hr_shape, canvas.origin, offset, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _interpolation(canvas: Canvas, motion: FrameMotion, offset: npt.NDArray[np.int64]) -> scipy.sparse.csr_matrix:
    """Cubic B-spline interpolation at each point of the frame's HR grid, ``(H*W, H*W)`` with 16 entries a row."""
    reference = invert_motion(motion, _frame_points(canvas, offset))
    position = lr_to_hr(reference - np.asarray(canvas.origin), canvas.scale).reshape(-1, 2)
    whole = np.floor(position).astype(np.int32)
    weights = _bspline3((position - whole).astype(np.float32))  # (4, H*W, 2)
    height, width = canvas.hr_shape
    taps = np.arange(-1, 3, dtype=np.int32)
    rows, cols = (whole[:, :1] + taps) % height, (whole[:, 1:] + taps) % width
    columns = (rows[:, :, None] * np.int32(width) + cols[:, None, :]).reshape(-1)
    values = (weights[:, :, 0].T[:, :, None] * weights[:, :, 1].T[:, None, :]).reshape(-1)
    starts = np.arange(0, len(columns) + 1, 16, dtype=np.int32)
    return scipy.sparse.csr_matrix((values, columns, starts), shape=(height * width, height * width))


def _bspline3(t: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weights of the four cubic B-spline coefficients around a position with fraction `t`."""
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return weights.astype(np.float32)


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

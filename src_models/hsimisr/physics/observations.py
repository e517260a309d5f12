"""The frames of a view laid out on a canvas: data, masks and noise, ready for a solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter

from hsimisr.geometry import apply_motion
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.operator import ObservationOperator, ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.physics.warp import WarpOperator

GUARD = 2
"""Ring of LR pixels at the canvas edge without data: what a PSF could carry around the periodic boundary."""
FILL_WIDTHS = (16.0, 8.0, 4.0, 2.0, 1.0)
"""Gaussian widths, LR pixels, from coarse to fine, by which missing data are continued."""


@dataclass(frozen=True, eq=False)
class Observations:
    """K frames on a canvas, ``frame = A x + noise``.

    Attributes:
        operator: A.
        data: eigen-images ``(K, r, h, w)``, gain and offset removed, 0 where nothing was measured.
        weight: ``(K, 1, h, w)``, 1 where measured, between 0 and 1 where trusted less, 0 where not.
        variance: noise variance ``(K, r)`` in units of the sensor's noise (1 plus what the motion leaves open).
    """

    operator: ObservationOperator
    data: torch.Tensor
    weight: torch.Tensor
    variance: torch.Tensor

    @property
    def canvas(self) -> Canvas:
        return self.operator.canvas

    @property
    def precision(self) -> torch.Tensor:
        """Weight of each datum ``(K, r, h, w)``: mask over noise variance."""
        return self.weight / self.variance[:, :, None, None]

    @property
    def trust(self) -> torch.Tensor:
        """Inverse noise variance of each frame ``(K, r)`` where it is not masked."""
        return self.weight.amax((1, 2, 3))[:, None] / self.variance

    @property
    def coverage(self) -> torch.Tensor:
        """How many frames measured each LR pixel of the canvas, ``(h, w)``."""
        return self.weight[:, 0].sum(0)

    def filled(self) -> Observations:
        """The same frames as if they covered the canvas: what was not measured is continued smoothly from all frames.

        Closed-form solutions need such data; their errors stay near what was filled.
        """
        weight = self.weight.cpu().numpy()
        total = (self.data.cpu().numpy() * weight).sum(0)
        seen = weight.sum(0)
        fill = np.zeros_like(total)
        for width in FILL_WIDTHS:
            near = gaussian_filter(seen, (0, width, width), mode="wrap")
            mean = gaussian_filter(total, (0, width, width), mode="wrap") / np.maximum(near, 1e-6)
            trust = near / (near + 0.02 * max(float(seen.max()), 1e-6))
            fill = trust * mean + (1 - trust) * fill
        smooth = torch.from_numpy(fill.astype(np.float32)).to(self.data.device)
        trust_frame = self.weight.amax((1, 2, 3), keepdim=True).expand_as(self.weight)
        return replace(self, data=torch.where(self.weight > 0, self.data, smooth), weight=trust_frame)

    def without(self, frame: int) -> Observations:
        """The same observations with one frame's data ignored."""
        weight = self.weight.clone()
        weight[frame] = 0
        return replace(self, weight=weight)

    def first(self, kept: int) -> Observations:
        """The first `kept` eigen-images of the same observations."""
        return replace(self, data=self.data[:, :kept], variance=self.variance[:, :kept])


def lay_out(
    frames: list[npt.NDArray[np.float32]],
    masks: list[npt.NDArray[np.bool_]],
    registration: Registration,
    canvas: Canvas,
    psf: Psf,
    device: torch.device,
    starts: list[tuple[int, int]] | None = None,
    offsets: list[npt.NDArray[np.float64]] | None = None,
) -> Observations:
    """Put the included frames of a stack on a canvas.

    Args:
        frames: eigen-images ``(r, h_k, w_k)`` of every frame of the stack.
        masks: ``(h_k, w_k)``, True where measured.
        starts: frame pixel at which each array begins, where frames were read in part only.
        offsets: offset ``(r,)`` of each frame's eigen-images, noise units.
    """
    used = registration.included
    motions = [registration.frames[k] for k in used]
    moved = np.stack([canvas_offset(motion, canvas) for motion in motions])
    r = frames[0].shape[0]
    data = np.zeros((len(used), r, *canvas.shape), np.float32)
    weight = np.zeros((len(used), 1, *canvas.shape), np.float32)
    for n, k in enumerate(used):
        start = np.zeros(2, int) if starts is None else np.asarray(starts[k])
        corner = start - moved[n] - np.asarray(canvas.origin)  # canvas position of the array's first pixel
        target, source = _overlap(corner, frames[k].shape[1:], canvas.shape)
        seen = masks[k][source]
        value = frames[k][(slice(None), *source)]
        if offsets is not None:
            value = value - offsets[k][:, None, None].astype(np.float32)
        data[(n, slice(None), *target)] = np.where(seen, value / np.float32(motions[n].gain), 0)
        weight[(n, 0, *target)] = seen * (motions[n].weight * motions[n].gain ** 2)
    operator = operator_for(canvas, psf, motions, moved, device)
    if isinstance(operator, WarpOperator):
        weight *= np.stack([_shows_canvas(canvas, *placed) for placed in zip(motions, moved, strict=True)])[:, None]
    return Observations(
        operator,
        torch.from_numpy(data).to(device),
        torch.from_numpy(weight).to(device),
        torch.ones(len(used), r, device=device),
    )


def operator_for(
    canvas: Canvas, psf: Psf, motions: Sequence[FrameMotion], offsets: npt.NDArray[np.int64], device: torch.device
) -> ObservationOperator:
    """The operator of frames that were moved onto the canvas by whole pixels `offsets` ``(K, 2)``."""
    if all(motion.is_shift for motion in motions):
        return ShiftOperator(canvas, psf, np.stack([motion.shift for motion in motions]) - offsets, device)
    return WarpOperator(canvas, psf, list(motions), offsets, device)


def canvas_offset(motion: FrameMotion, canvas: Canvas) -> npt.NDArray[np.int64]:
    """Whole pixels by which a frame is moved so that it lies on the canvas: its shift at the view's centre, rounded."""
    centre = np.asarray(canvas.view.origin) + (np.asarray(canvas.view.shape) - 1) / 2
    return np.rint(apply_motion(motion.matrix, centre) - centre).astype(np.int64)


def _shows_canvas(canvas: Canvas, motion: FrameMotion, offset: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Canvas pixels ``(h, w)`` of a frame whose ground lies on the canvas, less its guard ring.

    A frame that turns or stretches shows other ground too, which would wrap around the periodic boundary.
    """
    origin = np.asarray(canvas.origin)
    pixels = np.moveaxis(np.indices(canvas.shape), 0, -1)
    ground = invert_motion(motion, pixels + origin + offset) - origin
    slack = GUARD - 0.5 - 1e-6  # half a pixel is what a pure shift leaves too
    return np.asarray(((ground >= slack) & (ground <= np.array(canvas.shape) - 1 - slack)).all(-1))


def _overlap(
    corner: npt.NDArray[np.int64], size: tuple[int, ...], canvas: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the canvas (less its guard ring) and of an array placed at `corner` that lie on each other."""
    target, source = [], []
    for c, n, room in zip(corner, size, canvas, strict=True):
        low, high = max(int(c), GUARD), min(int(c) + n, room - GUARD)
        high = max(low, high)
        target.append(slice(low, high))
        source.append(slice(low - int(c), high - int(c)))
    return (target[0], target[1]), (source[0], source[1])

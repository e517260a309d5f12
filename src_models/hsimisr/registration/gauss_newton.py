"""Sub-pixel translation between two frames by Gauss-Newton on all eigen-images at once.

The difference ``frame(p + d/2) - reference(p - d/2)`` is symmetric in the two frames, so neither is interpolated more
than the other. A Gaussian prefilter removes most of the aliasing, which would bias the shift. (Lucas and Kanade, 1981;
Pham et al. show that this iteration reaches the Cramer-Rao bound of a shift.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, spline_filter1d

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
PAD = 4


@dataclass(frozen=True, eq=False)
class SmoothFrame:
    """A prefiltered frame ready to be sampled: cubic B-spline coefficients ``(r, h + 8, w + 8)`` and its mask."""

    coefficients: Float64
    mask: npt.NDArray[np.bool_]
    prefilter: float

    @classmethod
    def build(cls, frame: Float32, mask: npt.NDArray[np.bool_], prefilter: float) -> SmoothFrame:
        """From eigen-images ``(r, h, w)``; masked pixels are filled from their neighbourhood."""
        image = frame.astype(np.float64)
        seen = mask.astype(float)
        if prefilter > 0:
            weight = gaussian_filter(seen, prefilter, mode="nearest")
            image = gaussian_filter(image * seen, (0, prefilter, prefilter), mode="nearest")
            image /= np.maximum(weight, 1e-3)
        for axis in (1, 2):
            image = spline_filter1d(image, 3, axis=axis, mode="mirror")
        return cls(np.pad(image, ((0, 0), (PAD, PAD), (PAD, PAD)), mode="edge"), mask, prefilter)

    @property
    def shape(self) -> tuple[int, int]:
        h, w = self.coefficients.shape[1:]
        return h - 2 * PAD, w - 2 * PAD


@dataclass(frozen=True, eq=False)
class PairShift:
    """The shift of one frame against another.

    Attributes:
        shift: ``(dy, dx)``, LR pixels.
        covariance: its covariance ``(2, 2)``, LR pixels squared.
        mismatch: what the shift does not explain, 0 for identical frames, about 1 for unrelated ones.
    """

    shift: Float64
    covariance: Float64
    mismatch: float


def pair_shift(
    reference: SmoothFrame, frame: SmoothFrame, start: npt.NDArray[np.int64], iterations: int = 15
) -> PairShift:
    """Gauss-Newton from a whole-pixel start; channels are weighted by how well they agree."""
    low, high = _common_box(reference.shape, frame.shape, start)
    border = min(math.ceil(2 * reference.prefilter) + 1, *((b - a - 6) // 2 for a, b in zip(low, high, strict=True)))
    border = max(border, 0)
    low, high = [a + border for a in low], [b - border for b in high]
    box = slice(low[0], high[0]), slice(low[1], high[1])
    moved = (
        slice(low[0] + int(start[0]), high[0] + int(start[0])),
        slice(low[1] + int(start[1]), high[1] + int(start[1])),
    )
    seen = (reference.mask[box] & frame.mask[moved]).astype(float)
    count = max(seen.sum(), 1.0)

    def centred(values: Float64) -> Float64:
        return (values - (values * seen).sum((1, 2), keepdims=True) / count) * seen

    rest = np.zeros(2)
    hessian, error, signal = np.eye(2), np.zeros(1), np.ones(1)
    for _ in range(iterations):
        a, a_y, a_x = _sample(reference.coefficients, -rest / 2, box)
        b, b_y, b_x = _sample(frame.coefficients, rest / 2, moved)
        e, gy, gx = centred(b - a), centred((a_y + b_y) / 2), centred((a_x + b_x) / 2)
        error = (e**2).sum((1, 2)) / count
        signal = ((centred(a) ** 2).sum((1, 2)) + (centred(b) ** 2).sum((1, 2))) / count
        weight = 1 / (error + 1e-9 * signal + 1e-12)
        hessian = np.array([[(p * q).sum((1, 2)) @ weight for q in (gy, gx)] for p in (gy, gx)])
        damping = (1e-9 * np.trace(hessian) + 1e-12) * np.eye(2)
        step = -np.linalg.solve(hessian + damping, [(g * e).sum((1, 2)) @ weight for g in (gy, gx)])
        longest = np.abs(step).max()
        rest = np.clip(rest + step * min(1.0, 0.7 / max(longest, 1e-12)), -1.5, 1.5)
        if longest < 1e-5:
            break
    correlated = max(1.0, 4 * math.pi * reference.prefilter**2)  # the prefilter leaves fewer independent pixels
    covariance = np.asarray(correlated * np.linalg.inv(hessian + 1e-12 * np.eye(2)), dtype=float)
    return PairShift(start + rest, covariance, float(error.sum() / max(signal.sum(), 1e-12)))


def _common_box(
    reference: tuple[int, int], frame: tuple[int, int], shift: npt.NDArray[np.int64]
) -> tuple[list[int], list[int]]:
    """Reference pixels whose counterpart lies in the frame."""
    low = [max(0, -int(d)) for d in shift]
    high = [min(n, m - int(d)) for n, m, d in zip(reference, frame, shift, strict=True)]
    return low, high


def _sample(coefficients: Float64, offset: Float64, box: tuple[slice, slice]) -> tuple[Float64, Float64, Float64]:
    """Value and derivatives ``(r, n, m)`` of a spline image at ``p + offset`` for all pixels p of a box."""
    whole = np.floor(offset).astype(int)
    (wy, vy), (wx, vx) = (_spline_weights(t) for t in offset - whole)
    y0, x0 = (b.start + PAD + n - 1 for b, n in zip(box, whole, strict=True))
    height, width = (b.stop - b.start for b in box)
    patch = coefficients[:, y0 : y0 + height + 3, x0 : x0 + width + 3]
    rows = sum(wy[i] * patch[:, i : i + height] for i in range(4))
    rows_dy = sum(vy[i] * patch[:, i : i + height] for i in range(4))
    value = sum(wx[j] * rows[:, :, j : j + width] for j in range(4))
    dx = sum(vx[j] * rows[:, :, j : j + width] for j in range(4))
    dy = sum(wx[j] * rows_dy[:, :, j : j + width] for j in range(4))
    return np.asarray(value), np.asarray(dy), np.asarray(dx)


def _spline_weights(t: float) -> tuple[Float64, Float64]:
    """Cubic B-spline weights of the four coefficients around a fraction `t`, and their derivative."""
    value = np.array([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    slope = np.array([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2]) / 2
    return value, slope

"""What the frames hold outside the subspace: a low-pass average, so that no spectral information is dropped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.fft import dctn, idctn

from hsimisr.geometry import View
from hsimisr.inversion.prior import radial_mean
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion, Registration, Subspace

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RINGS = 12


def out_of_subspace(
    cubes: list[Float32],
    masks: list[Mask],
    starts: list[tuple[int, int]],
    registration: Registration,
    subspace: Subspace,
    view: View,
) -> tuple[Float32, Float64]:
    """Residual ``(B, h, w)`` of the view on the LR grid, and its variance ``(B,)``; data units, NaN at bad bands.

    The registered frames are averaged, the subspace is taken out, and each band is Wiener filtered by its own ring
    spectrum against the noise that the average still has.

    Args:
        cubes: good bands of each frame's window ``(B_good, h_k, w_k)``.
        starts: frame pixel at which each window begins.
    """
    h, w = view.shape
    good = ~subspace.bad
    total = np.zeros((h * w, int(good.sum())), np.float32)
    count = np.zeros(h * w)
    for k in registration.included:
        motion = registration.frames[k]
        resample = _bilinear(motion, view, starts[k], masks[k])
        frame = cubes[k].reshape(len(cubes[k]), -1).T
        if motion.offset is not None:
            frame = frame - motion.offset[good].astype(np.float32)
        total += resample @ np.ascontiguousarray(frame) / np.float32(motion.gain)
        count += np.asarray(resample.sum(1)).ravel()
    seen = count > 0.5
    mean = np.where(seen[:, None], total / np.maximum(count, 0.5)[:, None], 0).T.reshape(-1, h, w).astype(np.float32)
    rest = mean - subspace.expand(subspace.project_good(mean))[good]
    rest[:, ~seen.reshape(h, w)] = 0
    leverage = (subspace.vectors[good] ** 2).sum(1)
    noise = subspace.sigma[good] ** 2 * (1 - leverage) / max(float(count[seen].mean()) if seen.any() else 1.0, 1.0)
    filtered, variance = _wiener(rest, noise)
    residual = np.full((len(good), h, w), np.nan, np.float32)
    residual[good] = filtered
    spread = np.full(len(good), np.nan)
    spread[good] = variance
    return residual, spread


def _bilinear(motion: FrameMotion, view: View, start: tuple[int, int], mask: Mask) -> sp.csr_array:
    """Matrix ``(h*w, h_k*w_k)`` that reads a frame's window at the view's pixels through the motion.

    Masked pixels and pixels outside give rows that sum to less than 1.
    """
    h, w = view.shape
    rows, cols = np.meshgrid(np.arange(view.y0, view.y1), np.arange(view.x0, view.x1), indexing="ij")
    points = forward_motion(motion, np.stack([rows, cols], -1)).reshape(-1, 2) - np.asarray(start)
    whole = np.floor(points).astype(int)
    t = points - whole
    parts = []
    height, width = mask.shape
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = whole[:, 0] + dy, whole[:, 1] + dx
            weight = (t[:, 0] if dy else 1 - t[:, 0]) * (t[:, 1] if dx else 1 - t[:, 1])
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            inside[inside] = mask[y[inside], x[inside]]
            row = np.flatnonzero(inside)
            entry = (weight[inside].astype(np.float32), (row, y[inside] * width + x[inside]))
            parts.append(sp.csr_array(entry, shape=(h * w, height * width)))
    return sp.csr_array(sum(parts[1:], parts[0]))


def _wiener(image: Float32, noise: Float64) -> tuple[Float32, Float64]:
    """Shrink each frequency ring of images ``(B, h, w)`` by how much of its power is noise of variance ``(B,)``."""
    _, h, w = image.shape
    spectrum = dctn(image, axes=(1, 2), norm="ortho")
    radius = np.hypot(np.arange(h)[:, None] / (2 * h), np.arange(w)[None, :] / (2 * w)).ravel()
    frequency = np.geomspace(0.5 / max(h, w), 0.75, RINGS)
    power = radial_mean(
        (spectrum.astype(np.float64) ** 2).reshape(len(image), -1), radius, np.ones_like(radius), frequency
    )
    gain = np.clip(1 - noise[:, None] / np.maximum(power, 1e-30), 0, 1)
    ring = np.stack([np.interp(radius, frequency, row) for row in gain]).reshape(image.shape)
    filtered = idctn(spectrum * ring.astype(np.float32), axes=(1, 2), norm="ortho")
    return np.asarray(filtered, dtype=np.float32), noise * ring.mean((1, 2))

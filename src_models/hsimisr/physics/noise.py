"""Noise per band, estimated from the frames themselves."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from hsimisr.physics.config import MAX_RANK

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
FEW_BANDS = 8
"""Below this many bands a band cannot be predicted from the others, and noise is judged in space instead."""
CLEANEST = 1e-3
"""Noise is taken to be at least this part of a band's rms (60 dB): single precision solves no cleaner data."""
CONVERGED = 2e-3
"""Relative change of every band's variance at which the factor model is settled."""


def estimate_noise(frames: list[Float32], masks: list[npt.NDArray[np.bool_]], samples: int = 20000) -> Float64:
    """Noise standard deviation ``(B,)`` of frames ``(B, h_k, w_k)``, data units.

    With many bands: factor analysis, the part of each band that no combination of a few spectral factors explains.
    With few: the median absolute diagonal difference inside a frame, which texture can only raise.

    Args:
        masks: ``(h_k, w_k)``, True where all bands were measured.
        samples: most pixels used, spread evenly.
    """
    if len(frames[0]) < FEW_BANDS:
        return np.asarray(
            np.mean([_spatial_noise(f, m) for f, m in zip(frames, masks, strict=True) if m.any()], axis=0)
        )
    pixels = [measured(f, m) for f, m in zip(frames, masks, strict=True)]
    step = math.ceil(sum(p.shape[1] for p in pixels) / samples)
    sample = np.concatenate([p[:, ::step] for p in pixels], axis=1, dtype=np.float64)
    return np.maximum(factor_noise(sample), CLEANEST * np.sqrt((sample**2).mean(1)))


def measured(frame: Float32, mask: npt.NDArray[np.bool_]) -> Float32:
    """Pixels ``(B, n)`` of a frame ``(B, h, w)`` where a mask is True; no copy where all are."""
    return frame.reshape(len(frame), -1) if mask.all() else frame[:, mask]


def factor_noise(pixels: Float64, rounds: int = 12) -> Float64:
    """Unique standard deviations ``(B,)`` of a factor model of pixels ``(B, n)``.

    Principal-factor iteration: whiten by the current noise, keep the eigenvalues above the edge that pure noise
    would reach (Marchenko-Pastur), and take what they leave of each band's variance.
    """
    bands, n = pixels.shape
    covariance = np.cov(pixels)
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-30))
    correlation = covariance / np.outer(scale, scale)
    unique = 1.0 / np.diag(np.linalg.inv(correlation + 1e-7 * np.eye(bands)))  # band regression: a first guess
    edge = (1 + np.sqrt(bands / n)) ** 2
    most = min(MAX_RANK * 2, bands // 2)
    for _ in range(rounds):
        root = np.sqrt(unique)
        values, vectors = eigh(correlation / np.outer(root, root), subset_by_index=[bands - most, bands - 1])
        keep = values > 1.1 * edge
        explained = ((vectors[:, keep] * np.sqrt(values[keep] - 1.0)) * root[:, None]) ** 2
        before, unique = unique, np.clip(1.0 - explained.sum(1), 1e-8, 1.0)
        if np.abs(np.log(unique / before)).max() < CONVERGED:
            break
    return np.asarray(np.sqrt(unique) * scale)


def _spatial_noise(frame: Float32, mask: npt.NDArray[np.bool_]) -> Float64:
    """Robust standard deviation of the diagonal second difference, ``(B,)``; exact for white noise without texture."""
    d = (frame[:, :-1, :-1] - frame[:, 1:, :-1] - frame[:, :-1, 1:] + frame[:, 1:, 1:]) / 2
    seen = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    value = np.median(np.abs(d[:, seen]), axis=1) / 0.6745
    return np.maximum(np.asarray(value, dtype=np.float64), 1e-3 * np.std(frame[:, mask], axis=1) + 1e-12)

"""Noise per band, estimated from the frames themselves, or given and held against them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from hsimisr.errors import ConfigError
from hsimisr.physics.config import MAX_RANK

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
FEW_BANDS = 8
"""Below this many bands a band cannot be predicted from the others, and noise is judged in space instead."""
CLEANEST = 1e-3
"""Noise is taken to be at least this part of a band's rms (60 dB): single precision solves no cleaner data."""
CONVERGED = 2e-3
"""Relative change of every band's variance at which the factor model is settled."""
SPATIAL_SPREAD = 1.36 * 1.52
"""Squared relative error of `_spatial_noise` times the number of differences, for white noise without texture.

The first factor is that of a median of independent values, ``1 / (4 m phi(m))^2`` with the quartile m = 0.6745 of the
normal distribution and its density phi. The second is for the differences' overlap: one correlates by -1/2 with each of
its four neighbours and by 1/4 with each of the four diagonal ones, and the indicators of ``|d| < m``, which a median
counts, correlate by 0.098 and 0.032 then."""


@dataclass(frozen=True, eq=False)
class FoundNoise:
    """Noise that was found from frames, and how well it is known.

    Attributes:
        sigma: standard deviation per band ``(B,)``, data units.
        stderr: its standard error ``(B,)``, data units: that of sampling, under noise that is white and normal. It
            knows nothing of detail that passes for noise, in a band alone or, with few bands, at single pixels. NaN
            where a band is cleaner than noise is ever taken to be.
    """

    sigma: Float64
    stderr: Float64


def find_noise(frames: list[Float32], masks: list[npt.NDArray[np.bool_]], samples: int = 20000) -> FoundNoise:
    """Noise of frames ``(B, h_k, w_k)``.

    With many bands: factor analysis, the part of each band that no combination of a few spectral factors explains.
    With few: the median absolute diagonal difference inside a frame, which texture can only raise.

    Args:
        masks: ``(h_k, w_k)``, True where all bands were measured.
        samples: most pixels used, spread evenly.
    """
    if len(frames[0]) < FEW_BANDS:
        found = [_spatial_noise(f, m) for f, m in zip(frames, masks, strict=True) if m.any()]
        errors = np.array([one.stderr for one in found])
        return FoundNoise(
            np.asarray(np.mean([one.sigma for one in found], axis=0)), np.sqrt((errors**2).sum(0)) / len(found)
        )
    pixels = [measured(f, m) for f, m in zip(frames, masks, strict=True)]
    step = math.ceil(sum(p.shape[1] for p in pixels) / samples)
    sample = np.concatenate([p[:, ::step] for p in pixels], axis=1, dtype=np.float64)
    return _at_least(CLEANEST * np.sqrt((sample**2).mean(1)), factor_noise(sample))


def estimate_noise(frames: list[Float32], masks: list[npt.NDArray[np.bool_]]) -> Float64:
    """Noise standard deviation ``(B,)`` alone, see `find_noise`."""
    return find_noise(frames, masks).sigma


def fixed_noise(
    numbers: tuple[float, ...],
    bad: npt.NDArray[np.bool_],
    frames: list[Float32],
    masks: list[npt.NDArray[np.bool_]],
) -> Float64:
    """Noise standard deviation ``(B_good,)`` that was given instead of being estimated, data units.

    Args:
        numbers: one for all bands, or one per band of the frames; NaN where there is none for a band.
        bad: bands ``(B,)`` that do not take part.
        frames: good bands ``(B_good, h_k, w_k)``.
        masks: ``(h_k, w_k)``, True where all bands were measured.

    Raises:
        ConfigError: the numbers are not as many as the bands, a good band has none, or one is so far below the
            contrast of its band that single precision cannot solve for it.
    """
    if len(numbers) not in (1, len(bad)):
        raise ConfigError(
            f"setting noise: it has {len(numbers)} numbers and the frames have {len(bad)} bands; give one number for "
            "all bands, one per band, or auto"
        )
    sigma = np.broadcast_to(np.asarray(numbers, dtype=np.float64), len(bad))[~bad]
    contrast = np.max([np.std(measured(f, m), axis=1) for f, m in zip(frames, masks, strict=True) if m.any()], axis=0)
    for band, value, least in zip(np.flatnonzero(~bad), sigma, CLEANEST * contrast, strict=True):
        if np.isnan(value):
            raise ConfigError(f"setting noise: band {band}, counted from 0, is not bad and has no number; give it one")
        if value < least:
            raise ConfigError(
                f"setting noise: {value:g} in band {band}, counted from 0, is less than a thousandth of its contrast, "
                f"{least:.3g}; give a standard deviation in the units of the data, or auto"
            )
    return sigma


def measured(frame: Float32, mask: npt.NDArray[np.bool_]) -> Float32:
    """Pixels ``(B, n)`` of a frame ``(B, h, w)`` where a mask is True; no copy where all are."""
    return frame.reshape(len(frame), -1) if mask.all() else frame[:, mask]


def factor_noise(pixels: Float64, rounds: int = 12) -> FoundNoise:
    """Unique standard deviations of a factor model of pixels ``(B, n)``.

    Principal-factor iteration: whiten by the current noise, keep the eigenvalues above the edge that pure noise
    would reach (Marchenko-Pastur), and take what they leave of each band's variance. Where it settles, that is the
    maximum-likelihood estimate, whose variance has the asymptotic covariance 2/n times the inverse of the squared
    elements of I - P, with P the projector onto the whitened factors (Lawley and Maxwell, Factor Analysis as a
    Statistical Method, 1971). The diagonal alone does: the factors leave the share 1 - P_bb of a band free.
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
        freedom = 1.0 - (vectors[:, keep] ** 2).sum(1)
        before, unique = unique, np.clip(1.0 - explained.sum(1), 1e-8, 1.0)
        if np.abs(np.log(unique / before)).max() < CONVERGED:
            break
    sigma = np.sqrt(unique) * scale
    return FoundNoise(sigma, sigma / (np.maximum(freedom, 1e-8) * math.sqrt(2 * n)))


def _spatial_noise(frame: Float32, mask: npt.NDArray[np.bool_]) -> FoundNoise:
    """Robust standard deviation of the diagonal second difference; exact for white noise without texture."""
    d = (frame[:, :-1, :-1] - frame[:, 1:, :-1] - frame[:, :-1, 1:] + frame[:, 1:, 1:]) / 2
    seen = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    sigma = np.asarray(np.median(np.abs(d[:, seen]), axis=1) / 0.6745, dtype=np.float64)
    found = FoundNoise(sigma, sigma * math.sqrt(SPATIAL_SPREAD / max(int(seen.sum()), 1)))
    return _at_least(CLEANEST * np.std(frame[:, mask], axis=1) + 1e-12, found)


def _at_least(least: Float64, found: FoundNoise) -> FoundNoise:
    """Noise no lower than ``(B,)``; what is raised to that has no standard error."""
    return FoundNoise(np.maximum(found.sigma, least), np.where(found.sigma < least, np.nan, found.stderr))

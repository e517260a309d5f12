"""The spectral subspace shared by all frames: where a few eigen-images hold all that rises above the noise."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.noise import measured
from hsimisr.physics.types import Subspace

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def estimate_subspace(
    frames: list[Float32],
    masks: list[npt.NDArray[np.bool_]],
    sigma: Float64,
    bad: npt.NDArray[np.bool_],
    rank: int | Literal["auto"] = "auto",
) -> Subspace:
    """Pooled eigenvectors of the noise-whitened frames.

    Args:
        frames: good bands only, ``(B_good, h_k, w_k)``, data units.
        masks: ``(h_k, w_k)``, True where measured.
        sigma: noise of the good bands ``(B_good,)``.
        bad: ``(B,)``, True for the bands that `frames` leaves out.
        rank: how many, or `auto`: all eigenvalues above the edge that pure noise would reach
            (Marchenko-Pastur), at most 16.
    """
    bands = len(sigma)
    if rank != "auto" and not 1 <= rank <= min(MAX_RANK, bands):
        raise ConfigError(f"subspace.rank = {rank} does not fit: give auto or 1 to {min(MAX_RANK, bands)}")
    count = 0
    total = np.zeros(bands)
    gram: Float64 = np.zeros((bands, bands))
    whitened = [measured(f, m) / sigma[:, None].astype(np.float32) for f, m in zip(frames, masks, strict=True)]
    for pixels in whitened:
        total += pixels.sum(1, dtype=np.float64)
        count += pixels.shape[1]
    mean = total / count
    for pixels in whitened:
        centred = pixels - mean[:, None].astype(np.float32)
        gram += np.asarray(centred @ centred.T, dtype=np.float64)
    values, vectors = np.linalg.eigh(gram / count)
    values, vectors = values[::-1], vectors[:, ::-1]
    edge = (1 + np.sqrt(bands / count)) ** 2
    r = rank if rank != "auto" else int(np.clip((values > 1.1 * edge).sum(), 1, MAX_RANK))
    vectors = vectors[:, :r] * np.sign(vectors[np.abs(vectors[:, :r]).argmax(0), np.arange(r)])
    good = ~bad
    full = Subspace(
        mean=np.full(len(bad), np.nan),
        sigma=np.full(len(bad), np.nan),
        vectors=np.zeros((len(bad), r)),
        eigenvalues=values[:r].copy(),
        bad=bad.copy(),
    )
    full.mean[good] = mean * sigma
    full.sigma[good] = sigma
    full.vectors[good] = vectors
    return full

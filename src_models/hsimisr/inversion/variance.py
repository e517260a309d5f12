"""How far the estimate can be trusted: the posterior variance of every HR pixel of every eigen-image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter

from hsimisr.geometry import View
from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.inversion.contrast import HIGHEST, LOWEST
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import sampling_phases
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
SMALL = 24
"""LR pixels of the canvas that the integrals over frequency are taken on: they are smooth, a coarse grid does."""
CONTRASTS = np.geomspace(LOWEST, HIGHEST, 7)


def posterior_variance(
    observations: Observations, prior: PowerSpectrum, psf: Psf, contrast: torch.Tensor | None = None
) -> Float32:
    """Posterior variance ``(r, H, W)`` of the view's eigen-images, noise units.

    Exact for pure shifts and a stationary prior where all frames are seen. Where fewer are, it is interpolated over
    their number, which is what masks and borders change first; where the prior follows the local contrast, over that.

    Args:
        contrast: map ``(H, W)`` of the canvas (see `local_contrast`), or None for a stationary prior.
    """
    canvas, s = observations.canvas, observations.canvas.scale
    full = observations.weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
    frames_seen = (observations.weight / full)[:, 0].sum(0)
    seen = uniform_filter(frames_seen.cpu().numpy(), 3, mode="nearest")
    seen = np.kron(seen, np.ones((s, s)))[canvas.view_slices]
    small = _SmallCanvas(observations, prior, psf)
    k = len(observations.data)
    counts = sorted({0, 1, 2, k, *(2**n for n in range(2, k.bit_length()))} & set(range(k + 1)))
    by_count = np.stack([small.variance(count).mean((1, 2)) for count in counts], 1)
    pattern = small.variance(k)
    share = _interpolated(seen, np.array(counts, float), by_count / by_count[:, -1:])
    repeat = [n // s for n in seen.shape]
    if contrast is None:
        return np.asarray(share * np.tile(pattern, (1, *repeat)), dtype=np.float32)
    view_contrast = np.log(contrast.cpu().numpy()[canvas.view_slices])
    by_contrast = np.stack([small.variance(k, float(v)).mean((1, 2)) for v in CONTRASTS], 1)
    local = _interpolated(view_contrast, np.log(CONTRASTS), by_contrast)
    phase = np.tile(pattern / pattern.mean((1, 2), keepdims=True), (1, *repeat))
    return np.asarray(share * local * phase, dtype=np.float32)


class _SmallCanvas:
    """Closed-form variances for any number of frames and any strength of the prior."""

    def __init__(self, observations: Observations, prior: PowerSpectrum, psf: Psf) -> None:
        device = observations.data.device
        self._canvas = Canvas((0, 0), (SMALL, SMALL), observations.canvas.scale, View(0, SMALL, 0, SMALL))
        self._precision = prior_precision(prior, self._canvas, device)
        self._phases = sampling_phases(self._canvas, psf, observations.operator.shifts, device)
        self._trust = observations.trust

    def variance(self, count: int, contrast: float = 1.0) -> Float64:
        """Variance ``(r, s, s)`` of the pixels inside an LR pixel, with the first `count` frames only."""
        weight = self._trust.clone()
        weight[count:] = 0
        closed = ClosedForm.build(self._canvas, self._phases, weight, self._precision / contrast)
        return np.asarray(closed.pixel_variance().cpu().numpy(), dtype=float)


def _interpolated(x: Float64, nodes: Float64, values: Float64) -> Float64:
    """Interpolate each row of `values` ``(r, n)``, given at `nodes`, at `x`, in log value: ``(r, *x.shape)``."""
    log = np.log(np.maximum(values, 1e-12))
    return np.stack([np.exp(np.interp(x, nodes, row)) for row in log])

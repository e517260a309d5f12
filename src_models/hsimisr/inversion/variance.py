"""How far the estimate can be trusted: what the frames leave open of every HR pixel, and of the detail."""

from __future__ import annotations

from dataclasses import dataclass

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
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the frames leave open of a view.

    Attributes:
        variance: of its eigen-images ``(r, H, W)``, noise units.
        determined: share ``(h, w)`` of the detail around each LR pixel that the frames determine, 0 to 1.
        detail: variance ``(h, w)`` of that detail under the prior, summed over eigen-images by `weight`.
    """

    variance: Float32
    determined: Float32
    detail: Float32


def detail_share(canvas: Canvas) -> Float64:
    """How far entries of a spectrum ``(s*s, h, w//2+1)`` are detail: 1 beyond the Nyquist frequency of an LR frame."""
    fy, fx = canvas.frequencies
    beyond = np.maximum(np.abs(fy), np.abs(fx)) - 0.5
    beyond[np.abs(beyond) < 1e-9] = 0  # an entry stands for frequencies around it: half of them
    return np.asarray(np.heaviside(beyond, 0.5) * ~canvas.unpaired)


def posterior_of(
    observations: Observations,
    prior: PowerSpectrum,
    psf: Psf,
    weight: Float64,
    contrast: torch.Tensor | None = None,
) -> Posterior:
    """Posterior variance of the view's pixels, and how much of its detail the frames determine.

    Exact for pure shifts and a stationary prior where all frames are seen. Where fewer are, it is interpolated over
    their number, which is what masks and borders change first; where the prior follows the local contrast, over that.

    What is determined of a frequency is the diagonal of the resolution matrix, ``1 - C_post / C_prior`` (Tarantola,
    Inverse Problem Theory, 2005, section 3.4; after Backus and Gilbert, 1968). Its mean over the detail is weighted by
    the prior power of each frequency.

    Args:
        weight: what a unit of each eigen-image's variance counts in the detail ``(r,)``.
        contrast: map ``(H, W)`` of the canvas (see `local_contrast`), or None for a stationary prior.
    """
    canvas, s = observations.canvas, observations.canvas.scale
    full = observations.weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
    frames_seen = (observations.weight / full)[:, 0].sum(0)
    seen_lr = uniform_filter(frames_seen.cpu().numpy(), 3, mode="nearest")
    seen = np.kron(seen_lr, np.ones((s, s)))[canvas.view_slices]
    small = _SmallCanvas(observations, prior, psf, weight)
    k = len(observations.data)
    counts = sorted({0, 1, 2, k, *(2**n for n in range(2, k.bit_length()))} & set(range(k + 1)))
    by_count = [small.left(count) for count in counts]
    pixels, pattern = np.stack([left.pixels.mean((1, 2)) for left in by_count], 1), by_count[-1].pixels
    share = _interpolated(seen, np.array(counts, float), pixels / pixels[:, -1:])
    repeat = [n // s for n in seen.shape]
    fewer = _exponent(seen, counts, [left.detail for left in by_count])
    if contrast is None:
        variance = share * np.tile(pattern, (1, *repeat))
        open_detail = by_count[-1].detail ** fewer
        return _posterior(variance, open_detail, np.full_like(open_detail, small.detail), s)
    view_contrast = contrast.cpu().numpy()[canvas.view_slices].astype(float)
    by_contrast = [small.left(k, float(v)) for v in CONTRASTS]
    nodes, log_contrast = np.log(CONTRASTS), np.log(view_contrast)
    local = _interpolated(log_contrast, nodes, np.stack([left.pixels.mean((1, 2)) for left in by_contrast], 1))
    phase = np.tile(pattern / pattern.mean((1, 2), keepdims=True), (1, *repeat))
    open_detail = _interpolated(log_contrast, nodes, np.array([[left.detail for left in by_contrast]]))[0] ** fewer
    return _posterior(share * local * phase, open_detail, small.detail * view_contrast, s)


def _posterior(variance: Float64, open_detail: Float64, detail: Float64, s: int) -> Posterior:
    """From maps on the HR grid: shares of the detail that are left open, and its variance under the prior."""
    power = _on_lr(detail, s)
    determined = 1 - _on_lr(open_detail * detail, s) / np.maximum(power, TINY)  # at scale 1 there is none
    return Posterior(np.asarray(variance, np.float32), determined.astype(np.float32), power.astype(np.float32))


def _on_lr(image: Float64, s: int) -> Float64:
    """Mean ``(h, w)`` of an HR image over each LR pixel."""
    h, w = image.shape
    return np.asarray(image.reshape(h // s, s, w // s, s).mean((1, 3)))


def _exponent(seen: Float64, counts: list[int], open_detail: list[float]) -> Float64:
    """How much less frames tell where `seen` of them are: 1 where all are, 0 where none is.

    As an exponent of the share left open it holds for any contrast at both ends.
    """
    logs = np.log(np.clip(open_detail, 1e-12, 1.0))
    return np.interp(seen, counts, logs / min(float(logs[-1]), -1e-12))


@dataclass(frozen=True, eq=False)
class _Left:
    """What some frames leave open: variance ``(r, s, s)`` of the pixels of an LR pixel, and a share of the detail."""

    pixels: Float64
    detail: float


class _SmallCanvas:
    """Closed-form variances for any number of frames and any strength of the prior.

    Attributes:
        detail: variance of the detail under the prior, summed over eigen-images by their weight.
    """

    def __init__(self, observations: Observations, prior: PowerSpectrum, psf: Psf, weight: Float64) -> None:
        device = observations.data.device
        self._canvas = canvas = Canvas((0, 0), (SMALL, SMALL), observations.canvas.scale, View(0, SMALL, 0, SMALL))
        self._precision = prior_precision(prior, canvas, device)
        self._phases = sampling_phases(canvas, psf, observations.operator.shifts, device)
        self._trust = observations.trust
        counts = detail_share(canvas) * canvas.half_weight / (canvas.hr_shape[0] * canvas.hr_shape[1])
        self._detail_weight = torch.from_numpy(weight[:, None, None, None] * counts).to(device)
        self.detail = float((self._detail_weight / self._precision).sum())

    def left(self, count: int, contrast: float = 1.0) -> _Left:
        """What the first `count` frames leave open under a prior of this strength."""
        weight = self._trust.clone()
        weight[count:] = 0
        closed = ClosedForm.build(self._canvas, self._phases, weight, self._precision / contrast)
        detail = float((closed.spectrum_variance() * self._detail_weight).sum()) / max(contrast * self.detail, TINY)
        return _Left(np.asarray(closed.pixel_variance().cpu().numpy(), dtype=float), detail)


def _interpolated(x: Float64, nodes: Float64, values: Float64) -> Float64:
    """Interpolate each row of `values` ``(r, n)``, given at `nodes`, at `x`, in log value: ``(r, *x.shape)``."""
    log = np.log(np.maximum(values, 1e-12))
    return np.stack([np.exp(np.interp(x, nodes, row)) for row in log])

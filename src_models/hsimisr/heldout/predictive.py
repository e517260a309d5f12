"""How large the residual of a held-out frame should be: its noise, and what the other frames leave open there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter

from hsimisr.geometry import View
from hsimisr.inversion.closed_form import ClosedForm, prior_precision
from hsimisr.inversion.variance import CONTRASTS, SMALL
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import sampling_phases
from hsimisr.physics.types import PowerSpectrum

Float64 = npt.NDArray[np.float64]


def predictive_variance(
    observations: Observations, held: Sequence[int], prior: PowerSpectrum, contrast: torch.Tensor | None = None
) -> torch.Tensor:
    """Variance ``(frames, r, h, w)`` of the whitened residuals of held-out frames, ``1 + diag(A_k C A_k') / sigma^2``.

    C is the posterior covariance given the other frames. Exact for pure shifts and a stationary prior where all other
    frames are seen. Where fewer are, it is interpolated over their number; where the prior follows the local contrast,
    over that (as in `hsimisr.inversion.variance`).

    Args:
        observations: all frames, the held-out ones with their own weight.
        held: places of the frames that the estimate has not seen.
        contrast: map ``(H, W)`` of the canvas that the prior followed, or None for a stationary prior.
    """
    o, canvas = observations, observations.canvas
    device = o.data.device
    full = o.weight.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
    seen = (o.weight / full)[:, 0].cpu().numpy()
    others = [k for k in range(len(seen)) if k not in held]
    # where fewer frames see, those that see little are missing first
    others.sort(key=lambda k: -float(seen[k].sum()))
    number = uniform_filter(seen[others].sum(0), 3, mode="nearest")
    small = _SmallCanvas(o, held, prior)
    n = len(others)
    counts = sorted({0, 1, 2, n, *(2**m for m in range(2, n.bit_length()))} & set(range(n + 1)))
    by_count = np.stack([small.leverage(others[:count]) for count in counts], -1)
    leverage = torch.from_numpy(_interpolated(number, np.array(counts, float), by_count)).to(device)
    if contrast is not None:
        by_contrast = np.stack([small.leverage(others, float(v)) for v in CONTRASTS], -1)
        by_contrast /= by_count[..., -1:]
        log_contrast = np.log(contrast.cpu().numpy())
        for place, (k, nodes) in enumerate(zip(held, by_contrast, strict=True)):
            on_hr = torch.from_numpy(_interpolated(log_contrast, np.log(CONTRASTS), nodes).astype(np.float32))
            in_frame = o.operator.forward(canvas.to_spectrum(on_hr.to(device)))[k]
            lowest = torch.from_numpy(nodes[:, :1, None]).to(device)  # the PSF's side lobes would go below
            leverage[place] *= torch.maximum(in_frame.double(), lowest)
    return 1 + leverage


class _SmallCanvas:
    """What other frames leave open of held-out ones, from the closed form, on a grid that is coarse in frequency."""

    def __init__(self, observations: Observations, held: Sequence[int], prior: PowerSpectrum) -> None:
        operator, device = observations.operator, observations.data.device
        self._canvas = Canvas((0, 0), (SMALL, SMALL), observations.canvas.scale, View(0, SMALL, 0, SMALL))
        self._precision = prior_precision(prior, self._canvas, device)
        self._phases = sampling_phases(self._canvas, operator.psf, operator.shifts, device)
        self._trust = observations.trust
        self._held = list(held)

    def leverage(self, others: Sequence[int], contrast: float = 1.0) -> Float64:
        """``diag(A_k C A_k') / sigma^2`` of each held-out frame and eigen-image ``(frames, r)``, given `others`."""
        weight = torch.zeros_like(self._trust)
        weight[list(others)] = self._trust[list(others)]
        closed = ClosedForm.build(self._canvas, self._phases, weight, self._precision / contrast)
        found = closed.leverage(self._phases[self._held], self._trust[self._held])
        return np.asarray(found.cpu().numpy(), dtype=float)


def _interpolated(x: Float64, nodes: Float64, values: Float64) -> Float64:
    """Interpolate each row of `values` ``(..., n)``, given at `nodes`, at `x`, in log value: ``(..., *x.shape)``."""
    log = np.log(np.maximum(values, 1e-12))
    rows = [np.exp(np.interp(x, nodes, row)) for row in log.reshape(-1, log.shape[-1])]
    return np.stack(rows).reshape(*values.shape[:-1], *x.shape)

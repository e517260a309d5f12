"""Measured or inferred: what is left of the frames' share in the detail after a stage has changed it."""

from __future__ import annotations

import numpy as np
import torch

from hsimisr.inversion.variance import Posterior, detail_share
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.types import Float32, Subspace


def changed_detail(change: torch.Tensor, canvas: Canvas, subspace: Subspace) -> Float32:
    """Energy ``(h, w)`` of the detail in a change ``(r, H, W)`` of the canvas, around each LR pixel of its view.

    Summed over bands in data units, as in `Posterior.detail`.
    """
    kept = torch.from_numpy(detail_share(canvas)).to(change.device, torch.float32).sqrt()  # shares are of energies
    detail = canvas.to_image(canvas.to_spectrum(change) * kept)
    power = torch.from_numpy((subspace.basis**2).sum(0)).to(change.device)
    energy = torch.einsum("r,ryx->yx", power, detail**2)[None]
    # detail beats within an LR pixel and the next: three of them tell its energy
    around = torch.nn.functional.avg_pool2d(energy, 3 * canvas.scale, canvas.scale, canvas.scale)
    (y, x), (h, w) = np.subtract(canvas.view.origin, canvas.origin), canvas.view.shape
    return np.asarray(around[0, y : y + h, x : x + w].cpu().numpy(), dtype=np.float32)


def still_determined(posterior: Posterior, changed: Float32) -> Float32:
    """Share ``(h, w)`` of the detail that the frames determine once a learned stage has changed so much of its energy.

    What a stage changes is inferred, however well it may agree with the frames.
    """
    inferred = changed / np.maximum(posterior.detail, np.finfo(np.float32).tiny)
    return np.asarray(np.clip(posterior.determined - inferred, 0, 1), dtype=np.float32)

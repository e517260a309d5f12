"""The exact posterior where every frame covers the whole periodic canvas: one small Hermitian matrix per LR frequency.

It is the preconditioner of the solver, the source of the posterior variance and of the marginal likelihood.
(Robinson and Milanfar, IEEE TIP 15(6), 2006, write the same alias-group form for bounds.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.physics.canvas import Canvas
from hsimisr.physics.linalg import inverse_and_log_determinant
from hsimisr.physics.types import PowerSpectrum


def prior_precision(prior: PowerSpectrum, canvas: Canvas, device: torch.device) -> torch.Tensor:
    """Prior precision ``(r, s*s, h, w//2+1)`` of each HR frequency, in orthonormal Fourier coordinates."""
    power = prior.at(canvas.radius) * canvas.scale**2
    return torch.from_numpy((1.0 / power).astype(np.float32)).to(device)


def data_blocks(phases: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Normal matrices ``(r, L, s*s, s*s)`` of the alias groups.

    Args:
        phases: ``(K, s*s, h, w//2+1)`` response of frame k to each HR frequency.
        weight: ``(K, r)`` inverse noise variance of each frame.
    """
    k, a = phases.shape[:2]
    rows = phases.reshape(k, a, -1).permute(2, 0, 1) * a**0.5  # (L, K, s*s); a = s*s scales A'A
    if bool((weight == weight[:, :1]).all()):
        same = rows.mH @ (rows * weight[:, 0, None])
        return same.expand(weight.shape[1], *same.shape)
    return torch.stack([rows.mH @ (rows * w[:, None]) for w in weight.T])


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """Posterior covariance of every alias group.

    Attributes:
        covariance: ``(r, L, s*s, s*s)`` in orthonormal Fourier coordinates, L the LR half plane.
        log_determinant: of the posterior precision of each eigen-image ``(r,)``, float64.
    """

    canvas: Canvas
    covariance: torch.Tensor
    log_determinant: torch.Tensor

    @classmethod
    def build(
        cls,
        canvas: Canvas,
        phases: torch.Tensor,
        weight: torch.Tensor,
        precision: torch.Tensor,
        uniform: bool = True,
    ) -> ClosedForm:
        """From responses, inverse noise variances ``(K, r)`` and prior precision ``(r, s*s, h, w//2+1)``.

        Args:
            uniform: whether the motion is the same everywhere; where it is not, the phases between aliases average
                out over the frame, and only their powers count.
        """
        r, a = precision.shape[:2]
        blocks = data_blocks(phases, weight.to(phases.dtype))
        if not uniform:
            blocks = torch.diag_embed(blocks.diagonal(dim1=-2, dim2=-1))
        diagonal = torch.diag_embed(precision.reshape(r, a, -1).transpose(1, 2))
        covariance, logdet = inverse_and_log_determinant(blocks + diagonal)
        weight = _plane_weight(canvas, precision.device)
        return cls(canvas, covariance, (logdet.double() * weight).sum(-1))

    def apply(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Multiply a spectrum ``(r, s*s, h, w//2+1)`` by the covariance."""
        r, a = spectrum.shape[:2]
        columns = spectrum.reshape(r, a, -1).transpose(1, 2)[..., None]
        return (self.covariance @ columns)[..., 0].transpose(1, 2).reshape(spectrum.shape)

    def spectrum_variance(self) -> torch.Tensor:
        """Posterior variance ``(r, s*s, h, w//2+1)`` of each HR frequency."""
        r, _, a, _ = self.covariance.shape
        diagonal = self.covariance.diagonal(dim1=-2, dim2=-1).real
        return diagonal.transpose(1, 2).reshape(r, a, self.canvas.shape[0], -1)

    def shift_slope(self, phases: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Derivative ``(K, 2, r)`` of each log determinant with respect to each frame's shift, per LR pixel.

        With p the response of a frame and p' its derivative, ``d log det = 2 Re(p' C p^H)`` per alias group.

        Args:
            phases: ``(K, s*s, h, w//2+1)``.
            weight: inverse noise variances ``(K, r)``.
        """
        k, a = phases.shape[:2]
        rows = phases.reshape(k, a, -1).permute(2, 0, 1)
        plane = _plane_weight(self.canvas, phases.device)
        slopes = []
        for axis in self.canvas.frequencies:
            factor = torch.from_numpy(axis).to(phases.device, torch.float32).reshape(a, -1).T * (-2 * torch.pi)
            derivative = rows * torch.complex(torch.zeros_like(factor), factor)[:, None]
            per_image = []
            for covariance, w in zip(self.covariance, weight.T, strict=True):
                group = ((derivative @ covariance) * rows.conj()).sum(-1).real  # (L, K)
                per_image.append((group * plane[:, None]).double().sum(0) * w * 2 * a)
            slopes.append(torch.stack(per_image, 1))
        return torch.stack(slopes, 1)

    def leverage(self, phases: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Share ``(K, r)`` of each frame's data that the fit follows, ``tr(A_k C A_k') w_k / n``.

        Args:
            phases: ``(K, s*s, h, w//2+1)``.
            weight: inverse noise variances ``(K, r)``.
        """
        k, a = phases.shape[:2]
        rows = phases.reshape(k, a, -1).permute(2, 0, 1)
        plane = _plane_weight(self.canvas, phases.device)[:, None] * (a / (self.canvas.shape[0] * self.canvas.shape[1]))
        traces = [(((rows @ c) * rows.conj()).sum(-1).real * plane).sum(0) for c in self.covariance]
        return torch.stack(traces, 1) * weight

    def pixel_variance(self) -> torch.Tensor:
        """Posterior variance ``(r, s, s)`` of the HR pixels inside one LR pixel (the same in every LR pixel)."""
        s = self.canvas.scale
        weight = _plane_weight(self.canvas, self.covariance.device)
        total = torch.einsum("rlab,l->rab", self.covariance, weight.to(self.covariance.dtype))
        wave = torch.from_numpy(_alias_waves(s)).to(total)  # (s*s pixels, s*s aliases)
        count = self.canvas.hr_shape[0] * self.canvas.hr_shape[1]
        variance = torch.einsum("pa,rab,pb->rp", wave, total, wave.conj()).real / count
        return variance.reshape(-1, s, s)


def _plane_weight(canvas: Canvas, device: torch.device) -> torch.Tensor:
    """How often each LR frequency of the half plane counts in a sum over the whole plane, ``(L,)``."""
    return torch.from_numpy(canvas.half_weight).to(device).repeat(canvas.shape[0])


def _alias_waves(scale: int) -> npt.NDArray[np.complex64]:
    """``exp(2 pi i a . p / s)`` for pixels p and aliases a of one LR pixel."""
    one = np.exp(2j * np.pi * np.outer(np.arange(scale), np.arange(scale)) / scale)
    return np.asarray(np.kron(one, one), dtype=np.complex64)

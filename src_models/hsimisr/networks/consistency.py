"""The data-consistency step: pull an image back to what the frames say, as strongly as they know better than it.

With the refined image z as prior mean, the posterior mean is ``z + (A'WA + e^t Q)^-1 A'W (y - A z)``: t is how much
surer than the scene's prior Q the refined image is, learned for each eigen-image. Where all frames cover the canvas
and move by pure shifts this is exact; elsewhere it is one preconditioned Landweber step, which unlike truncated
conjugate gradients can be differentiated without blowing up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hsimisr.inversion.closed_form import data_blocks
from hsimisr.inversion.solver import NormalEquations
from hsimisr.physics.observations import Observations


@dataclass(frozen=True, eq=False)
class Consistency:
    """The step for one set of observations, for any strength.

    ``Q^-1/2 A'WA Q^-1/2 = U diag(gain) U^H`` in every alias group, so that a strength only changes a diagonal.

    Attributes:
        basis: ``Q^-1/2 U``, ``(r, L, s*s, s*s)``.
        gain: ``(r, L, s*s)``, how much the frames know of each combination of frequencies, in units of the prior.
    """

    observations: Observations
    basis: torch.Tensor
    gain: torch.Tensor

    @classmethod
    def of(cls, equations: NormalEquations) -> Consistency:
        """For the frames and the stationary prior of some normal equations."""
        o, precision = equations.observations, equations.precision
        r, a = precision.shape[:2]
        blocks = data_blocks(o.operator.phases, o.trust.to(o.operator.phases.dtype))
        root = precision.reshape(r, a, -1).transpose(1, 2).rsqrt()
        if not o.operator.uniform:
            gain = blocks.diagonal(dim1=-2, dim2=-1).real * root**2
            return cls(o, torch.diag_embed(root.to(blocks.dtype)), gain)
        scaled = root[..., :, None] * blocks * root[..., None, :]
        gain, vectors = torch.linalg.eigh(scaled.to(torch.complex128))  # single precision fails on repeated zeros
        return cls(o, root[..., :, None] * vectors.to(blocks.dtype), gain.clamp_min(0).to(root.dtype))

    def step(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """The image ``(r, H, W)`` pulled towards the frames; differentiable in both arguments.

        Args:
            strength: t ``(r,)``, natural logarithm.
        """
        with torch.autocast(image.device.type, enabled=False):  # physics stays exact where networks are not
            pull: torch.Tensor = _Pull.apply(image, self.observations)  # type: ignore[no-untyped-call]
            return image + self.posterior(pull, strength)

    def posterior(self, image: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """``(A'WA + e^t Q)^-1`` applied to images ``(r, H, W)``."""
        canvas = self.observations.canvas
        spectrum = canvas.to_spectrum(image)
        r, a = spectrum.shape[:2]
        columns = spectrum.reshape(r, a, -1).transpose(1, 2)[..., None]
        inner = (self.basis.mH @ columns)[..., 0] / (self.gain + strength.exp()[:, None, None])
        solved = (self.basis @ inner[..., None])[..., 0]
        return canvas.to_image(solved.transpose(1, 2).reshape(spectrum.shape))


def observe(image: torch.Tensor, observations: Observations) -> torch.Tensor:
    """Frames ``(K, r, h, w)`` of an image ``(r, H, W)``; differentiable whatever the operator is made of."""
    frames: torch.Tensor = _Observe.apply(image, observations)  # type: ignore[no-untyped-call]
    return frames


class _Observe(torch.autograd.Function):
    """A, with its exact adjoint for the gradient."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, observations: Observations) -> torch.Tensor:
        ctx.observations = observations
        return observations.operator.forward(observations.canvas.to_spectrum(image))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        o = ctx.observations
        return o.canvas.to_image(o.operator.adjoint(gradient)), None


class _Pull(torch.autograd.Function):
    """``A'W (y - A x)`` in image space; its linear part is symmetric."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, observations: Observations) -> torch.Tensor:
        ctx.observations = observations
        o = observations
        error = o.data - o.operator.forward(o.canvas.to_spectrum(image))
        return o.canvas.to_image(o.operator.adjoint(o.precision * error))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        o = ctx.observations
        seen = o.operator.forward(o.canvas.to_spectrum(gradient))
        return -o.canvas.to_image(o.operator.adjoint(o.precision * seen)), None

"""Small displacements of a frame's content as linear combinations of basis fields, one class per kind of motion.

Gauss-Newton updates a motion by composing it with such a displacement, in the frame's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion

Float64 = npt.NDArray[np.float64]
Rigid = Literal["translation", "affine", "homography"]
TERMS: dict[str, int] = {"translation": 2, "affine": 6, "homography": 8}
KNOT_SPACING = 8.0
"""LR pixels between the knots of a local field."""
BEND = 0.25
"""Standard deviation, LR pixels, that the second difference of a local field over one knot spacing is expected to have
in one step. The penalty holds each step, not the field: few steps keep the field smooth (iterative regularisation). A
field that is held itself, at any strength, is found less well: 0.043 to 0.066 px instead of 0.026 on one scene."""


class Displacement(Protocol):
    """Basis fields ``(dy, dx)``, LR pixels, on a grid of ``(h, w)`` pixels."""

    @property
    def count(self) -> int:
        """Number of parameters P."""
        ...

    def field(self, parameters: torch.Tensor) -> torch.Tensor:
        """Displacements ``(K, 2, h, w)`` of parameters ``(K, P)``."""
        ...

    def transpose(self, field: torch.Tensor) -> torch.Tensor:
        """Transpose of `field`: ``(K, 2, h, w)`` to ``(K, P)``, float64."""
        ...

    def normal(self, weight: torch.Tensor) -> torch.Tensor:
        """``B' W B`` ``(K, P, P)``, float64, for symmetric weights ``(K, 2, 2, h, w)``."""
        ...

    @property
    def penalty(self) -> torch.Tensor:
        """Prior precision ``(P, P)`` of one step's parameters, float64."""
        ...

    def compose(self, motion: FrameMotion, parameters: Float64, corner: Sequence[float]) -> FrameMotion:
        """The motion followed by a displacement ``(P,)``; `corner` is the frame pixel of the grid's first pixel."""
        ...


@dataclass(frozen=True, eq=False)
class Polynomial:
    """Translation, affine or projective displacement; parameters are LR pixels at the edge of the grid.

    With ``u = (q - centre) / radius``: a shift t, a linear part ``A u``, and ``u (g . u)`` for a homography.
    """

    model: Rigid
    shape: tuple[int, int]
    fields: torch.Tensor

    @classmethod
    def build(cls, model: Rigid, shape: tuple[int, int], device: torch.device) -> Polynomial:
        axes = [torch.arange(n, dtype=torch.float64, device=device) - (n - 1) / 2 for n in shape]
        y, x = torch.meshgrid(*[a / _radius(shape) for a in axes], indexing="ij")
        one, zero = torch.ones_like(y), torch.zeros_like(y)
        pairs = [(one, zero), (zero, one), (y, zero), (x, zero), (zero, y), (zero, x), (y * y, y * x), (x * y, x * x)]
        fields = torch.stack([torch.stack(pair) for pair in pairs[: TERMS[model]]])
        return cls(model, shape, fields.float())

    @property
    def count(self) -> int:
        return len(self.fields)

    def field(self, parameters: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kp,pahw->kahw", parameters.float(), self.fields)

    def transpose(self, field: torch.Tensor) -> torch.Tensor:
        return torch.einsum("pahw,kahw->kp", self.fields, field).double()

    def normal(self, weight: torch.Tensor) -> torch.Tensor:
        weighted = torch.einsum("kabhw,pbhw->kpahw", weight, self.fields)
        return torch.einsum("kpahw,qahw->kpq", weighted, self.fields).double()

    @property
    def penalty(self) -> torch.Tensor:
        return torch.zeros(self.count, self.count, dtype=torch.float64, device=self.fields.device)

    def compose(self, motion: FrameMotion, parameters: Float64, corner: Sequence[float]) -> FrameMotion:
        radius = _radius(self.shape)
        centre = np.asarray(corner, float) + (np.asarray(self.shape) - 1) / 2
        p = np.concatenate([parameters, np.zeros(8 - len(parameters))]) / radius
        step = np.array([[1 + p[2], p[3], p[0]], [p[4], 1 + p[5], p[1]], [-p[6], -p[7], 1.0]])
        to_unit = np.array([[1 / radius, 0, -centre[0] / radius], [0, 1 / radius, -centre[1] / radius], [0, 0, 1]])
        matrix = np.linalg.inv(to_unit) @ step @ to_unit @ motion.matrix
        richer = motion.field is None and TERMS.get(motion.model, 0) < TERMS[self.model]
        model = self.model if richer else motion.model
        return replace(motion, matrix=matrix / matrix[2, 2], model=model)


@dataclass(frozen=True, eq=False)
class SplineField:
    """A smooth local displacement: a tensor product of cubic B-splines, its bending held small.

    `rows` ``(m, h)`` and `cols` ``(n, w)`` are the splines along each axis; parameters are the coefficients of dy, then
    those of dx.
    """

    shape: tuple[int, int]
    rows: torch.Tensor
    cols: torch.Tensor

    @classmethod
    def build(cls, shape: tuple[int, int], device: torch.device) -> SplineField:
        rows, cols = (torch.from_numpy(_splines(n).astype(np.float32)).to(device) for n in shape)
        return cls(shape, rows, cols)

    @property
    def count(self) -> int:
        return 2 * len(self.rows) * len(self.cols)

    def field(self, parameters: torch.Tensor) -> torch.Tensor:
        grid = parameters.float().reshape(-1, 2, len(self.rows), len(self.cols))
        return torch.einsum("mh,kamn,nw->kahw", self.rows, grid, self.cols)

    def transpose(self, field: torch.Tensor) -> torch.Tensor:
        return torch.einsum("mh,kahw,nw->kamn", self.rows, field, self.cols).flatten(1).double()

    def normal(self, weight: torch.Tensor) -> torch.Tensor:
        m, n = len(self.rows), len(self.cols)
        rows, cols = _neighbour_products(self.rows), _neighbour_products(self.cols)
        out = torch.zeros(len(weight), 2, m * n, 2, m * n, dtype=torch.float64, device=weight.device)
        for k, of_frame in enumerate(weight.double()):
            for a, b in ((0, 0), (0, 1), (1, 1)):
                products = torch.einsum("dmh,hw,enw->dmen", rows, of_frame[a, b], cols)
                block = _banded(products).reshape(m * n, m * n)
                out[k, a, :, b], out[k, b, :, a] = block, block.T
        return out.reshape(len(weight), 2 * m * n, 2 * m * n)

    @cached_property
    def penalty(self) -> torch.Tensor:
        m, n = len(self.rows), len(self.cols)
        bend_y, bend_x = np.diff(np.eye(m), 2, axis=0), np.diff(np.eye(n), 2, axis=0)
        twist = np.kron(np.diff(np.eye(m), axis=0), np.diff(np.eye(n), axis=0))
        parts = [np.kron(bend_y, np.eye(n)), np.kron(np.eye(m), bend_x), np.sqrt(2) * twist]
        energy = sum(part.T @ part for part in parts) / BEND**2 + 1e-3 * np.eye(m * n)
        return torch.from_numpy(np.kron(np.eye(2), energy)).to(self.rows.device)

    def compose(self, motion: FrameMotion, parameters: Float64, corner: Sequence[float]) -> FrameMotion:
        if motion.field is None:
            raise ValueError("a local displacement needs a motion with a field, perhaps zero")
        step = self.field(torch.from_numpy(parameters)[None].to(self.rows.device))[0].cpu().numpy()
        reference = np.moveaxis(np.indices(motion.field.shape[1:]), 0, -1).astype(float)
        where = np.moveaxis(forward_motion(motion, reference) - np.asarray(corner), -1, 0)
        moved = np.stack([map_coordinates(part, where, order=3, mode="nearest") for part in step])
        return replace(motion, field=(motion.field + moved).astype(np.float32), model="local")


OVERLAP = 4
"""A cubic B-spline shares pixels with itself and the next three."""


def _neighbour_products(splines: torch.Tensor) -> torch.Tensor:
    """Products ``(4, m, size)`` of splines i and i + d, zero beyond the last; float64."""
    out = splines.new_zeros((OVERLAP, *splines.shape), dtype=torch.float64)
    for d in range(min(OVERLAP, len(splines))):
        out[d, : len(splines) - d] = splines[: len(splines) - d] * splines[d:]
    return out


def _banded(products: torch.Tensor) -> torch.Tensor:
    """Symmetric matrix ``(m, n, m, n)`` from its entries at (i, j), (i + d, j + e), given as ``(d, m, e, n)``."""
    _, m, _, n = products.shape
    out = products.new_zeros(m, n, m, n)
    i, j = torch.meshgrid(torch.arange(m), torch.arange(n), indexing="ij")
    for d in range(min(OVERLAP, m)):
        for e in range(min(OVERLAP, n)):
            value, p, q = products[d, : m - d, e, : n - e], i[: m - d, : n - e], j[: m - d, : n - e]
            out[p, q, p + d, q + e] = out[p + d, q + e, p, q] = value
            out[p + d, q, p, q + e] = out[p, q + e, p + d, q] = value
    return out


def _radius(shape: tuple[int, int]) -> float:
    return max(shape) / 2


def _splines(size: int) -> Float64:
    """Cubic B-splines ``(m, size)`` on a line of pixels, with knots about `KNOT_SPACING` apart."""
    spans = max(1, round(size / KNOT_SPACING))
    step = (size - 1) / spans
    knots = (np.arange(-3, spans + 4)) * step
    place = np.clip(np.arange(size, dtype=float), 0, (size - 1) * (1 - 1e-12))
    return np.asarray(BSpline.design_matrix(place, knots, 3).toarray().T)

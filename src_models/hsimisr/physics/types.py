"""What is known about a scene and its frames: plain frozen data, free of torch, cheap to send between processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import Grid, is_translation, lr_to_hr

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subspace:
    """Spectral subspace of the noise-whitened frames.

    A spectrum is ``mean + sigma * (vectors @ coefficients)``; the noise of a coefficient has unit variance.

    Attributes:
        mean: mean spectrum ``(B,)``, data units.
        sigma: noise per band ``(B,)``, data units.
        vectors: orthonormal eigenvectors ``(B, r)``, largest component positive; zero rows at bad bands.
        eigenvalues: variance of each coefficient ``(r,)`` over the frames, in units of the noise variance.
        bad: bands ``(B,)`` that are not part of the subspace; expanded as NaN.
    """

    mean: Float64
    sigma: Float64
    vectors: Float64
    eigenvalues: Float64
    bad: npt.NDArray[np.bool_]

    @property
    def rank(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def bands(self) -> int:
        return int(self.vectors.shape[0])

    @cached_property
    def basis(self) -> Float32:
        """Data-unit basis ``(B, r)``: sigma times the eigenvectors; zero rows at bad bands, whose sigma may be NaN."""
        sigma = np.where(self.bad, 0.0, self.sigma)
        return np.asarray(sigma[:, None] * self.vectors, dtype=np.float32)

    def project(self, cube: Float32) -> Float32:
        """Eigen-images ``(r, ...)`` of an array ``(B, ...)``; bad bands do not count."""
        return self.project_good(cube[~self.bad])

    def project_good(self, cube: Float32) -> Float32:
        """Eigen-images ``(r, ...)`` of an array ``(B_good, ...)`` that holds the good bands only."""
        good = ~self.bad
        weights = (self.vectors[good] / self.sigma[good, None]).astype(np.float32)
        offset = (self.mean[good] @ weights.astype(np.float64)).astype(np.float32)
        flat = weights.T @ cube.reshape(len(cube), -1)
        flat -= offset[:, None]
        return np.asarray(flat.reshape(self.rank, *cube.shape[1:]), dtype=np.float32)

    def expand(self, coefficients: Float32, bands: npt.NDArray[np.intp] | slice = slice(None)) -> Float32:
        """Spectra ``(bands, ...)`` of eigen-images ``(r, ...)``; NaN at bad bands."""
        flat = coefficients.reshape(self.rank, -1)
        out = self.basis[bands] @ flat + self.mean[bands, None].astype(np.float32)
        out[self.bad[bands]] = np.nan
        return np.asarray(out.reshape(-1, *coefficients.shape[1:]), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class FrameMotion:
    """How one frame relates to the reference.

    Attributes:
        matrix: 3x3 motion (see `hsimisr.geometry`), LR pixels.
        covariance: 2x2 covariance of the shift ``(dy, dx)``, LR pixels squared; zero for the reference.
        gain, offset: ``frame = gain * scene + offset``; offset ``(B,)`` in data units.
        weight: trust in this frame, 0 to 1.
        excluded, reason: whether the frame is left out, and why.
        chi2: how well the other frames predict this one: squared residual, its leverage taken off, over the sensor's
            noise; 1 as expected, NaN where it was not judged.
        model: what kind of motion this is, for people: translation, affine, local.
        field: local motion ``(2, h, w)`` on the reference grid added to the matrix's, LR pixels, or None.
    """

    matrix: Float64
    covariance: Float64 = field(default_factory=lambda: np.zeros((2, 2)))
    gain: float = 1.0
    offset: Float64 | None = None
    weight: float = 1.0
    excluded: bool = False
    reason: str = ""
    field: Float32 | None = None
    model: str = "translation"
    chi2: float = float("nan")

    @property
    def shift(self) -> Float64:
        """Translation ``(dy, dx)`` of the matrix, LR pixels."""
        return np.asarray(self.matrix[:2, 2], dtype=float)

    @property
    def is_shift(self) -> bool:
        return self.field is None and is_translation(self.matrix)


@dataclass(frozen=True, eq=False)
class Registration:
    """The motion of every frame of a stack, in the order of the frames."""

    frames: tuple[FrameMotion, ...]
    reference: int = 0
    method: str = "none"

    @property
    def shifts(self) -> Float64:
        """Shifts ``(K, 2)``, LR pixels."""
        return np.stack([frame.shift for frame in self.frames])

    @property
    def included(self) -> tuple[int, ...]:
        """Indices of the frames that are used."""
        return tuple(k for k, frame in enumerate(self.frames) if not frame.excluded)

    @property
    def is_shift(self) -> bool:
        """Whether every used frame moves by a pure shift."""
        return all(self.frames[k].is_shift for k in self.included)


@dataclass(frozen=True, eq=False)
class PowerSpectrum:
    """Prior power of each eigen-image as a function of spatial frequency.

    Attributes:
        frequency: radial frequencies ``(n,)``, cycles per LR pixel, ascending.
        power: ``(r, n)``, variance per unit area of frequency (the integral over the frequency plane is the
            variance of the eigen-image); interpolated linearly in log power between the frequencies.
    """

    frequency: Float64
    power: Float64

    def at(self, radius: Float64) -> Float64:
        """Power ``(r, ...)`` at radial frequencies ``(...)``, cycles per LR pixel."""
        log = np.log(np.maximum(self.power, 1e-30))
        flat = np.stack([np.interp(radius.ravel(), self.frequency, row) for row in log])
        return np.asarray(np.exp(flat).reshape(len(self.power), *radius.shape), dtype=float)


@dataclass(frozen=True, eq=False)
class SceneModel:
    """Everything that is estimated once per stack and shared by every view and tile.

    `psf` is the specification text (see `hsimisr.physics.psf`), `psf_stderr` the standard errors of its two widths and
    its angle where it was found from the frames; `noise_stderr` ``(B,)`` those of the noise, data units, where that was
    found from the frames, NaN at bad bands; `misfit` ``(K, r)`` is the variance that the frames
    show beyond the noise, in units of it, or None for 1; `contrast_levels` are what local contrast is measured against
    (see `hsimisr.inversion.contrast`); `bar_scale` ``(r,)`` is what the standard deviations of the posterior are
    multiplied by (see `hsimisr.uncertainty`), or None for 1; `provisional` marks a model estimated from a view alone,
    which cannot be exported.
    """

    registration: Registration
    psf: str
    subspace: Subspace
    prior: PowerSpectrum
    scale: int
    provisional: bool = False
    misfit: Float64 | None = None
    contrast_levels: tuple[float, ...] = ()
    psf_stderr: tuple[float, float, float] | None = None
    noise_stderr: Float64 | None = None
    bar_scale: Float64 | None = None

    @property
    def noise(self) -> Float64:
        """Noise standard deviation per band ``(B,)``, data units."""
        return self.subspace.sigma


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is believed about the HR scene on a grid.

    Attributes:
        mean: eigen-images ``(r, H, W)`` in noise units (see Subspace).
        variance: their variance ``(r, H, W)``, or None where a method has none.
        residual: what the frames hold outside the subspace ``(B, h, w)``, LR grid, data units, or None.
        residual_variance: variance per band ``(B,)`` outside the subspace, data units squared, or None.
        measured: ``(h, w)`` on the LR grid, False where no frame holds data and nothing is claimed, or None for all.
        learned: ``(h, w)`` on the LR grid, how far a learned stage was followed, 0 to 1, or None without one.
        determined: ``(h, w)`` on the LR grid, the share of the detail that the frames determine, 0 to 1, or None where
            a method has no variance. Detail is what no single LR frame can carry: frequencies beyond its Nyquist
            frequency; the rest of it is inferred, by the prior or by a learned stage.
        method: the name of the method that made it.
    """

    mean: Float32
    subspace: Subspace
    grid: Grid
    variance: Float32 | None = None
    residual: Float32 | None = None
    residual_variance: Float64 | None = None
    measured: npt.NDArray[np.bool_] | None = None
    learned: Float32 | None = None
    determined: Float32 | None = None
    method: str = "lmmse"

    def bands(self, index: npt.NDArray[np.intp] | slice = slice(None)) -> Float32:
        """The refined bands ``(n, H, W)``, data units; NaN at bad bands and where nothing was measured."""
        out = self.subspace.expand(self.mean, index)
        if self.residual is not None:
            out += upsample_linear(self.residual[index], self.grid.scale)
        return self._where_measured(out)

    def _cell_measured(self, y: int, x: int) -> npt.NDArray[np.bool_] | None:
        s = self.grid.scale
        return None if self.measured is None else self.measured[y // s : y // s + 1, x // s : x // s + 1]

    def _where_measured(self, bands: Float32) -> Float32:
        """NaN at the HR pixels that no frame measured."""
        if self.measured is not None:
            s = self.grid.scale
            bands[:, ~self.measured.repeat(s, 0).repeat(s, 1)] = np.nan
        return bands

    def std(self, index: npt.NDArray[np.intp] | slice = slice(None)) -> Float32:
        """Standard deviation of the bands ``(n, H, W)``, data units; NaN at bad bands or without a variance."""
        basis = self.subspace.basis[index]
        if self.variance is None:
            return np.full((len(basis), *self.grid.shape), np.nan, np.float32)
        variance = (basis**2) @ self.variance.reshape(self.subspace.rank, -1)
        if self.residual_variance is not None:
            variance += self.residual_variance[index, None].astype(np.float32)
        out = np.sqrt(variance, dtype=np.float32).reshape(-1, *self.grid.shape)
        out[self.subspace.bad[index]] = np.nan
        return self._where_measured(out)

    def spectrum(self, y: int, x: int) -> tuple[Float32, Float32]:
        """Spectrum and standard deviation ``(B,)`` of HR pixel ``(y, x)``."""
        cell = Estimate(
            mean=self.mean[:, y : y + 1, x : x + 1],
            subspace=self.subspace,
            grid=Grid(1, (0, 0), (1, 1)),
            variance=None if self.variance is None else self.variance[:, y : y + 1, x : x + 1],
            residual_variance=self.residual_variance,
            measured=self._cell_measured(y, x),
        )
        value = cell.bands()[:, 0, 0]
        if self.residual is not None:
            value = value + _sample_linear(self.residual, (y + 0.5) / self.grid.scale, (x + 0.5) / self.grid.scale)
        return value, cell.std()[:, 0, 0]


def upsample_linear(image: Float32, scale: int) -> Float32:
    """Bilinear interpolation ``(n, h, w) -> (n, s h, s w)`` on the shared-corner grids, edges repeated."""
    if scale == 1:
        return image
    out = image
    for axis in (1, 2):
        size = out.shape[axis]
        position = np.clip((np.arange(size * scale) + 0.5) / scale - 0.5, 0, size - 1)
        low = np.minimum(position.astype(int), max(size - 2, 0))
        t = (position - low).astype(np.float32)
        t = t[:, None] if axis == 1 else t
        out = np.take(out, low, axis) * (1 - t) + np.take(out, np.minimum(low + 1, size - 1), axis) * t
    return np.asarray(out, dtype=np.float32)


def _sample_linear(image: Float32, y: float, x: float) -> Float32:
    """One bilinear sample ``(n,)`` at the corner-based LR position ``(y, x)``."""
    h, w = image.shape[1:]
    py, px = min(max(y - 0.5, 0.0), h - 1.0), min(max(x - 0.5, 0.0), w - 1.0)
    iy, ix = min(int(py), max(h - 2, 0)), min(int(px), max(w - 2, 0))
    ty, tx = np.float32(py - iy), np.float32(px - ix)
    y1, x1 = min(iy + 1, h - 1), min(ix + 1, w - 1)
    top = image[:, iy, ix] * (1 - tx) + image[:, iy, x1] * tx
    low = image[:, y1, ix] * (1 - tx) + image[:, y1, x1] * tx
    return np.asarray(top * (1 - ty) + low * ty, dtype=np.float32)


def hr_index(point_yx: tuple[float, float], grid: Grid) -> tuple[int, int] | None:
    """The HR pixel that contains a point in reference-frame coordinates, or None outside the grid."""
    y, x = (int(np.rint(lr_to_hr(p - o, grid.scale))) for p, o in zip(point_yx, grid.origin_yx, strict=True))
    return (y, x) if 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1] else None

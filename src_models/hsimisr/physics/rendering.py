"""What a detector pixel sees of a sampled scene, by splines and quadrature in space.

The simulator renders with this and nothing else, so that simulated frames do not owe their values to the transfer
functions and the warps of the solver that will be judged by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.ndimage import spline_filter1d
from scipy.sparse import csr_array
from scipy.special import ndtr

from hsimisr.errors import ConfigError
from hsimisr.physics.config import psf_numbers
from hsimisr.physics.psf import gaussian_sigma, optics_sigma

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DEGREE = 5  # of the interpolating spline that stands for the continuous scene
TAIL = 5.0  # standard deviations at which a Gaussian ends; 6e-7 of it lies outside
_BASIS = BSpline.basis_element(np.arange(DEGREE + 2) - (DEGREE + 1) / 2)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A PSF as quadrature rules, in LR pixels; the weights of each rule add up to 1.

    Attributes:
        nodes: points along either axis of the part of the PSF that is the same along both.
        weights: of the nodes.
        moves: where copies of that part stand ``(n, 2)``: an elongated PSF is a round one, smeared along its long axis.
        shares: of the moves.
    """

    nodes: Array
    weights: Array
    moves: Array
    shares: Array

    @property
    def reach(self) -> float:
        """Half the width of the support along either axis, LR pixels."""
        return float(np.abs(self.nodes).max() + np.abs(self.moves).max())

    @classmethod
    def of(cls, psf: str, scale: int) -> Kernel:
        """Quadrature of a PSF, fine enough for a scene with `scale` samples per LR pixel.

        Raises:
            ConfigError: the PSF specification is not known.
        """
        try:
            numbers = psf_numbers(psf)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        kind = psf.partition(":")[0]
        sigmas = [_SIGMAS[kind](number) for number in numbers[:2]]
        density, edges, detail = _density(kind, min(sigmas, default=0.0))
        panel = min(0.25 / scale, detail)
        points, weights = np.polynomial.legendre.leggauss(4)
        all_nodes, all_weights = [], []
        for low, high in pairwise(edges):
            cuts = np.linspace(low, high, math.ceil((high - low) / panel) + 1)
            half = np.diff(cuts)[:, None] / 2
            all_nodes.append((cuts[:-1, None] + half * (points + 1)).ravel())
            all_weights.append((half * weights).ravel())
        nodes = np.concatenate(all_nodes)
        mass = np.concatenate(all_weights) * density(nodes)
        return cls(nodes, mass / mass.sum(), *_smear(sigmas, numbers[2:], scale))


def spline_coefficients(images: npt.NDArray[np.floating]) -> Array:
    """B-spline coefficients ``(B, Y, X)`` of the interpolating spline through the samples ``(B, Y, X)``."""
    along_y = spline_filter1d(images, DEGREE, axis=1, output=np.float64, mode="mirror")
    return np.asarray(spline_filter1d(along_y, DEGREE, axis=2, output=np.float64, mode="mirror"))


def pixel_matrix(kernel: Kernel, centres: Array, samples_per_pixel: float, size: int) -> Array:
    """Matrix ``(pixels, size)`` from spline coefficients along one axis to pixel values.

    Args:
        kernel: the PSF along this axis.
        centres: where the pixel centres lie, in samples of the scene.
        samples_per_pixel: the size of an LR pixel in samples of the scene.
        size: number of samples.
    """
    index, weight = _basis(centres[:, None] - kernel.nodes * samples_per_pixel, size)
    matrix = np.zeros((len(centres), size))
    rows = np.broadcast_to(np.arange(len(centres))[:, None, None], index.shape)
    np.add.at(matrix, (rows, index), weight * kernel.weights[:, None])
    return matrix


def sample_matrix(points: Array, shape: tuple[int, int]) -> csr_array:
    """Sparse matrix ``(P, Y X)`` from spline coefficients to the scene's values at `points` ``(P, 2)``, in samples."""
    (row, row_weight), (column, column_weight) = (_basis(points[:, axis], shape[axis]) for axis in (0, 1))
    index = row[:, :, None] * shape[1] + column[:, None, :]
    weight = row_weight[:, :, None] * column_weight[:, None, :]
    start = np.arange(len(points) + 1) * (DEGREE + 1) ** 2
    return csr_array((weight.ravel(), index.ravel(), start), shape=(len(points), shape[0] * shape[1]))


def _basis(position: Array, size: int) -> tuple[Indices, Array]:
    """The B-splines ``(..., DEGREE + 1)`` that are not zero at each position, mirrored at the first and last sample."""
    first = np.floor(position).astype(np.intp) - (DEGREE - 1) // 2
    index = first[..., None] + np.arange(DEGREE + 1)
    weight = _BASIS(position[..., None] - index)
    index = np.abs(index)
    return np.where(index >= size, 2 * (size - 1) - index, index), weight


def _smear(sigmas: list[float], angle: tuple[float, ...], scale: int) -> tuple[Array, Array]:
    """Moves and shares of the Gaussian that is left along the long axis; one copy in place where there is none."""
    if not angle or sigmas[0] == sigmas[1]:
        return np.zeros((1, 2)), np.ones(1)
    along = math.radians(angle[0] + (0 if sigmas[0] > sigmas[1] else 90))
    sigma = math.sqrt(abs(sigmas[0] ** 2 - sigmas[1] ** 2))
    # a sum over evenly spaced points errs by exp(-2 pi^2 sigma^2 (1 / spacing - f)^2) at the scene's frequencies f
    spacing = 1 / (scale / math.sqrt(2) + 0.9 / sigma)
    half = math.ceil(TAIL * sigma / spacing)
    places = np.arange(-half, half + 1) * spacing
    shares = np.exp(-0.5 * (places / sigma) ** 2)
    return places[:, None] * np.array([math.cos(along), math.sin(along)]), shares / shares.sum()


_SIGMAS = {"mtf": optics_sigma, "gauss": gaussian_sigma}


def _density(kind: str, sigma: float) -> tuple[Callable[[Array], Array], list[float], float]:
    """Density of a PSF along one axis, the places where it is not smooth, and the size of its finest detail."""
    if kind == "box":
        return np.ones_like, [-0.5, 0.5], 1.0
    if kind == "bicubic":
        return _keys, [-2.0, -1.0, 0.0, 1.0, 2.0], 1.0
    if kind == "gauss":
        return lambda u: np.exp(-0.5 * (u / sigma) ** 2), [-TAIL * sigma, TAIL * sigma], sigma
    reach = 0.5 + TAIL * sigma
    return lambda u: ndtr((u + 0.5) / sigma) - ndtr((u - 0.5) / sigma), [-reach, reach], sigma


def _keys(u: Array) -> Array:
    """Cubic convolution kernel with a = -1/2 (Keys, IEEE TASSP 29(6), 1981, eq. 15)."""
    v = np.abs(u)
    return np.where(v < 1, 1.5 * v**3 - 2.5 * v**2 + 1, -0.5 * v**3 + 2.5 * v**2 - 4 * v + 2)

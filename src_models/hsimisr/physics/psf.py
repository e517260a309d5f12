"""Point spread functions as continuous transfer functions; widths in LR pixels, frequencies in cycles per LR pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError
from hsimisr.physics.config import psf_numbers

Array = npt.NDArray[np.float64]
BOX_MTF_AT_NYQUIST = 2 / math.pi
FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian blur by its covariance ``(y, x)``, LR pixels squared; zero for none."""

    yy: float = 0.0
    xx: float = 0.0
    yx: float = 0.0

    @classmethod
    def along(cls, sigma: float, across: float, angle: float) -> Gaussian:
        """From the standard deviations along and across an axis that stands `angle` degrees from y towards x."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        a, b = sigma**2, across**2
        return cls(a * c * c + b * s * s, a * s * s + b * c * c, (a - b) * c * s)

    @property
    def axes(self) -> tuple[float, float, float]:
        """Variances along the long axis and across, and the long axis' angle in degrees from y towards x."""
        half = math.hypot((self.yy - self.xx) / 2, self.yx)
        mean = (self.yy + self.xx) / 2
        return mean + half, mean - half, math.degrees(math.atan2(2 * self.yx, self.yy - self.xx)) / 2

    def transfer(self, fy: Array, fx: Array) -> Array:
        """Transfer function at frequencies `fy`, `fx` (broadcast)."""
        return np.asarray(np.exp(-2 * math.pi**2 * (self.yy * fy**2 + self.xx * fx**2 + 2 * self.yx * fy * fx)))


@dataclass(frozen=True)
class Psf:
    """A kernel that is the same along both axes, blurred by a Gaussian; its transfer function is real and 1 at 0.

    Attributes:
        spec: the specification text.
        kernel: transfer function of the kernel along one axis.
        gaussian: the blur on top.
    """

    spec: str
    kernel: Callable[[Array], Array]
    gaussian: Gaussian = field(default_factory=Gaussian)

    @classmethod
    def parse(cls, spec: str) -> Psf:
        """Build from ``box``, ``mtf:m``, ``gauss:fwhm`` or ``bicubic``; raises ConfigError otherwise.

        ``gauss:1.2,0.9,30`` is 1.2 wide along the axis that stands 30 degrees from y towards x, and 0.9 across;
        ``mtf:0.29,0.35,30`` is the detector box times a Gaussian with such axes, each as wide as in ``mtf:m``.
        """
        try:
            numbers = psf_numbers(spec)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        kind = spec.partition(":")[0]
        if kind == "bicubic":
            return cls(spec, _keys_cubic)
        if kind == "box":
            return cls(spec, np.sinc)
        sigma = optics_sigma if kind == "mtf" else gaussian_sigma
        along, across, angle = numbers if len(numbers) == 3 else (numbers[0], numbers[0], 0.0)
        return cls(spec, np.sinc if kind == "mtf" else np.ones_like, Gaussian.along(sigma(along), sigma(across), angle))

    def on_grid(self, fy: Array, fx: Array) -> Array:
        """Transfer function at frequencies `fy`, `fx` (broadcast), cycles per LR pixel."""
        fy, fx = np.asarray(fy, float), np.asarray(fx, float)
        return np.asarray(self.kernel(fy) * self.kernel(fx) * self.gaussian.transfer(fy, fx))

    def transfer(self, f: Array) -> Array:
        """Transfer function along y; that of a round PSF is the product of both axes'."""
        return self.on_grid(np.asarray(f, float), np.zeros(()))


def optics_sigma(mtf_at_nyquist: float) -> float:
    """Standard deviation, LR pixels, of the Gaussian that takes the box to this MTF at 0.5 cycles per LR pixel."""
    return math.sqrt(-2 * math.log(mtf_at_nyquist / BOX_MTF_AT_NYQUIST)) / math.pi


def gaussian_sigma(fwhm: float) -> float:
    """Standard deviation of a Gaussian of this full width at half maximum."""
    return fwhm / FWHM_PER_SIGMA


def box_with(gaussian: Gaussian) -> str:
    """The specification of the detector box times a Gaussian, to three digits: ``box``, ``mtf:m`` or with axes."""
    *variances, angle = gaussian.axes
    mtf = [min(max(BOX_MTF_AT_NYQUIST * math.exp(-(math.pi**2) / 2 * v), 0.01), 0.635) for v in variances]
    along, across = (min(round(m, 3), 0.63) for m in mtf)
    if mtf[0] > 0.63:
        return "box"
    return f"mtf:{along:g}" if along == across else f"mtf:{along:g},{across:g},{round(angle, 1):g}"


def _keys_cubic(f: Array) -> Array:
    """Fourier transform of the cubic convolution kernel with a = -1/2 (Keys, IEEE TASSP 29(6), 1981, eq. 22)."""
    f = np.asarray(f, float)
    small = np.abs(f) < 1e-3
    g = np.where(small, 1.0, f)
    value = 3 / (np.pi * g) ** 2 * (np.sinc(g) ** 2 - np.sinc(2 * g))
    value -= 1 / (np.pi * g) ** 2 * (3 * np.sinc(2 * g) ** 2 - 2 * np.sinc(2 * g) - np.sinc(4 * g))
    return np.where(small, 1.0, value)

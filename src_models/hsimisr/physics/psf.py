"""Point spread functions as continuous transfer functions; widths in LR pixels, frequencies in cycles per LR pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError
from hsimisr.physics.config import check_psf

Array = npt.NDArray[np.float64]
BOX_MTF_AT_NYQUIST = 2 / math.pi


@dataclass(frozen=True)
class Psf:
    """A separable PSF: ``transfer(fy) * transfer(fx)`` is its optical transfer function (real, 1 at 0)."""

    spec: str
    transfer: Callable[[Array], Array]

    @classmethod
    def parse(cls, spec: str) -> Psf:
        """Build from ``box``, ``mtf:m``, ``gauss:fwhm`` or ``bicubic``; raises ConfigError otherwise."""
        try:
            check_psf(spec)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        kind, _, value = spec.partition(":")
        if kind == "box":
            return cls(spec, np.sinc)
        if kind == "mtf":
            sigma = optics_sigma(float(value))
            return cls(spec, lambda f: np.sinc(f) * _gauss(f, sigma))
        if kind == "gauss":
            sigma = float(value) / math.sqrt(8 * math.log(2))
            return cls(spec, lambda f: _gauss(f, sigma))
        return cls(spec, _keys_cubic)

    def on_grid(self, fy: Array, fx: Array) -> Array:
        """Transfer function at frequencies `fy`, `fx` (broadcast), cycles per LR pixel."""
        return self.transfer(np.asarray(fy, float)) * self.transfer(np.asarray(fx, float))


def optics_sigma(mtf_at_nyquist: float) -> float:
    """Standard deviation, LR pixels, of the Gaussian that takes the box to this MTF at 0.5 cycles per LR pixel."""
    return math.sqrt(-2 * math.log(mtf_at_nyquist / BOX_MTF_AT_NYQUIST)) / math.pi


def _gauss(f: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-2 * (math.pi * sigma * np.asarray(f)) ** 2))


def _keys_cubic(f: Array) -> Array:
    """Fourier transform of the cubic convolution kernel with a = -1/2 (Keys, IEEE TASSP 29(6), 1981, eq. 22)."""
    f = np.asarray(f, float)
    small = np.abs(f) < 1e-3
    g = np.where(small, 1.0, f)
    value = 3 / (np.pi * g) ** 2 * (np.sinc(g) ** 2 - np.sinc(2 * g))
    value -= 1 / (np.pi * g) ** 2 * (3 * np.sinc(2 * g) ** 2 - 2 * np.sinc(2 * g) - np.sinc(4 * g))
    return np.where(small, 1.0, value)

"""Full width at half maximum of a PSF."""

from __future__ import annotations

from math import erf, sqrt

from scipy.optimize import brentq

from hsimisr.physics.psf import optics_sigma


def fwhm(spec: str) -> float:
    """Width in LR pixels of the PSF that a specification such as ``mtf:0.29`` names."""
    kind, _, value = spec.partition(":")
    if kind == "gauss":
        return float(value)
    if kind == "bicubic":
        # Keys' kernel 1.5 |x|^3 - 2.5 |x|^2 + 1 is at half its peak
        return 2 * float(brentq(lambda x: 1.5 * x**3 - 2.5 * x**2 + 0.5, 0, 1 - 1e-9))
    if kind == "mtf":
        width = sqrt(2) * optics_sigma(float(value))

        def profile(x: float) -> float:
            return erf((x + 0.5) / width) - erf((x - 0.5) / width)

        return 2 * float(brentq(lambda x: profile(x) - profile(0) / 2, 0, 0.5 + 3 * width))
    return 1.0

"""Full width at half maximum of a PSF."""

from __future__ import annotations

import math
from math import erf, sqrt

from scipy.optimize import brentq

from hsimisr.physics.psf import FWHM_PER_SIGMA, Psf


def fwhm(spec: str) -> tuple[float, float, float]:
    """Widths in LR pixels along an axis and across, and the axis' angle in degrees from y towards x.

    The angle of a round PSF is 0. A box blurred along an oblique axis counts as wide as if it were blurred along y.
    """
    psf = Psf.parse(spec)
    kind = spec.partition(":")[0]
    if kind == "bicubic":
        # Keys' kernel 1.5 |x|^3 - 2.5 |x|^2 + 1 is at half its peak
        width = 2 * float(brentq(lambda x: 1.5 * x**3 - 2.5 * x**2 + 0.5, 0, 1 - 1e-9))
        return width, width, 0.0
    along, across, angle = psf.gaussian.axes
    if math.isclose(along, across, rel_tol=1e-9):
        across, angle = along, 0.0
    if kind == "gauss":
        return sqrt(along) * FWHM_PER_SIGMA, sqrt(across) * FWHM_PER_SIGMA, angle
    return blurred_box(along), blurred_box(across), angle


def blurred_box(variance: float) -> float:
    """Width of the detector box blurred by a Gaussian of this variance, LR pixels and their square."""
    if variance < 1e-4:
        return 1.0  # to single precision, and no division by a width of zero
    width = sqrt(2 * variance)

    def profile(x: float) -> float:
        return erf((x + 0.5) / width) - erf((x - 0.5) / width)

    return 2 * float(brentq(lambda x: profile(x) - profile(0) / 2, 0, 0.5 + 3 * width))

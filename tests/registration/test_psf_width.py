"""The width of a PSF, against the profile that its transfer function stands for."""

from __future__ import annotations

import math

import pytest
from scipy.integrate import quad

from hsimisr.physics.psf import Psf
from hsimisr.registration.psf_width import fwhm


@pytest.mark.parametrize("spec", ["mtf:0.05", "mtf:0.29", "mtf:0.55", "gauss:0.7", "gauss:2.0", "bicubic"])
def test_half_way_out_the_profile_is_half_its_peak(spec):
    transfer, reach = Psf.parse(spec).transfer, 40 if spec == "bicubic" else 12

    def profile(x):
        return quad(lambda f: float(transfer(f)) * math.cos(2 * math.pi * f * x), 0, reach, limit=2000)[0]

    # a bicubic transfer function falls as 1 / f^4: beyond 40 it holds less than 1e-5 of its integral
    assert profile(fwhm(spec) / 2) == pytest.approx(profile(0) / 2, rel=2e-5)


def test_a_box_is_one_pixel_wide():
    assert fwhm("box") == 1.0

"""The width of a PSF, against the profile that its transfer function stands for."""

from __future__ import annotations

import math

import pytest
from scipy.integrate import quad

from hsimisr.physics.psf import Psf
from hsimisr.registration.psf_width import blurred_box, fwhm


@pytest.mark.parametrize("spec", ["mtf:0.05", "mtf:0.29", "mtf:0.55", "gauss:0.7", "gauss:2.0", "bicubic"])
def test_half_way_out_the_profile_is_half_its_peak(spec):
    transfer, reach = Psf.parse(spec).transfer, 40 if spec == "bicubic" else 12

    def profile(x):
        return quad(lambda f: float(transfer(f)) * math.cos(2 * math.pi * f * x), 0, reach, limit=2000)[0]

    # a bicubic transfer function falls as 1 / f^4: beyond 40 it holds less than 1e-5 of its integral
    assert profile(fwhm(spec)[0] / 2) == pytest.approx(profile(0) / 2, rel=2e-5)


def test_a_box_is_one_pixel_wide():
    assert fwhm("box") == (1.0, 1.0, 0.0)


def test_a_sharper_and_sharper_psf_goes_over_into_the_box():
    assert blurred_box(0.0) == blurred_box(1e-5) == 1.0
    assert blurred_box(1.0001e-4) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["mtf", "gauss"])
def test_an_elongated_psf_is_as_wide_as_round_ones_with_its_numbers(kind):
    along, across, angle = fwhm(f"{kind}:0.2,0.4,30" if kind == "mtf" else f"{kind}:0.4,0.2,30")
    wide, narrow = ("0.2", "0.4") if kind == "mtf" else ("0.4", "0.2")
    assert (along, across) == pytest.approx((fwhm(f"{kind}:{wide}")[0], fwhm(f"{kind}:{narrow}")[0]))
    assert angle == pytest.approx(30)


def test_the_angle_is_that_of_the_long_axis():
    assert fwhm("gauss:0.5,1.0,20") == pytest.approx((1.0, 0.5, -70.0))


@pytest.mark.parametrize("spec", ["gauss:1", "mtf:0.3", "bicubic", "gauss:0.7,0.7,40"])
def test_a_round_psf_has_one_width_and_no_angle(spec):
    along, across, angle = fwhm(spec)
    assert along == across
    assert angle == 0

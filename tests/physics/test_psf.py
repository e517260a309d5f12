"""Transfer functions: gain 1, the promised width, and the cubic's closed form against its defining integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from hsimisr.errors import ConfigError
from hsimisr.physics.psf import BOX_MTF_AT_NYQUIST, Psf

SPECS = ["box", "mtf:0.29", "mtf:0.05", "mtf:0.63", "gauss:1.0", "gauss:0.4", "bicubic"]


@pytest.mark.parametrize("spec", SPECS)
def test_a_constant_scene_keeps_its_value(spec):
    assert Psf.parse(spec).transfer(np.zeros(1)) == pytest.approx([1.0], abs=1e-15)


@pytest.mark.parametrize("spec", SPECS)
def test_psfs_are_symmetric(spec):
    f = np.linspace(0, 3, 50)
    transfer = Psf.parse(spec).transfer
    assert np.array_equal(transfer(-f), transfer(f))


@pytest.mark.parametrize("spec", SPECS)
def test_on_grid_is_the_product_of_both_axes(spec):
    fy, fx = np.linspace(-1, 1, 7)[:, None], np.linspace(-2, 2, 5)[None, :]
    psf = Psf.parse(spec)
    assert np.array_equal(psf.on_grid(fy, fx), psf.transfer(fy) * psf.transfer(fx))


@pytest.mark.parametrize("mtf", [0.01, 0.1, 0.29, 0.5, 0.63])
def test_mtf_is_reached_at_the_nyquist_frequency(mtf):
    assert Psf.parse(f"mtf:{mtf}").transfer(np.array([0.5])) == pytest.approx([mtf], rel=1e-12)


def test_a_box_alone_has_the_mtf_of_a_sinc():
    assert Psf.parse("box").transfer(np.array([0.5])) == pytest.approx([BOX_MTF_AT_NYQUIST], rel=1e-15)


@pytest.mark.parametrize("width", [0.4, 1.0, 2.5])
def test_a_gaussian_falls_to_half_its_peak_at_half_its_width(width):
    transfer = Psf.parse(f"gauss:{width}").transfer
    reach = 8 / width  # the transfer function is below 1e-30 there

    def profile(x):
        return quad(lambda f: float(transfer(np.array(f))) * math.cos(2 * math.pi * f * x), -reach, reach, limit=200)[0]

    # quad stops at a relative error of 1.5e-8
    assert profile(width / 2) == pytest.approx(profile(0) / 2, rel=1e-7)


def test_the_cubic_is_the_transform_of_the_kernel_of_keys():
    def kernel(x):
        x = abs(x)
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2

    # beside 1e-3 the closed form loses eps / (pi f)^2 = 2e-11 to cancellation and the limit 1 is off by f^4
    for f in (0.0, 0.0009, 0.0011, 0.1, 0.5, 0.77, 1.0, 1.6, 2.0):
        expected = 2 * sum(
            quad(lambda x, f=f: kernel(x) * math.cos(2 * math.pi * f * x), a, a + 1, epsabs=1e-12)[0] for a in (0, 1)
        )
        assert float(Psf.parse("bicubic").transfer(np.array(f))) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    "spec", ["", "mtf", "mtf:0.9", "mtf:0", "mtf:nan", "gauss:-1", "gauss:x", "gauss:", "box:2", "bicubic:1", "airy"]
)
def test_what_is_no_psf_is_refused_with_the_forms_that_are(spec):
    with pytest.raises(ConfigError, match=r"box, mtf:<0.01 to 0.63>, gauss:<FWHM in LR pixels> or bicubic"):
        Psf.parse(spec)

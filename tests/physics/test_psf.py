"""Transfer functions: gain 1, the promised width, and the cubic's closed form against its defining integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from hsimisr.errors import ConfigError
from hsimisr.physics.psf import BOX_MTF_AT_NYQUIST, Gaussian, Psf, box_with

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
    np.testing.assert_allclose(psf.on_grid(fy, fx), psf.transfer(fy) * psf.transfer(fx), rtol=1e-13)


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
    "spec",
    [
        "",
        "mtf",
        "mtf:0.9",
        "mtf:0",
        "mtf:nan",
        "gauss:-1",
        "gauss:x",
        "gauss:",
        "box:2",
        "bicubic:1",
        "airy",
        "gauss:1,2",
        "gauss:1,2,3,4",
        "gauss:1,-2,30",
        "mtf:0.3,0.9,30",
        "mtf:0.3,0.2,200",
        "mtf:0.3,0.2,nan",
    ],
)
def test_what_is_no_psf_is_refused_with_the_forms_that_are(spec):
    with pytest.raises(ConfigError, match=r"box, mtf:<0.01 to 0.63>, gauss:<FWHM in LR pixels> or bicubic"):
        Psf.parse(spec)


def test_no_psf_is_found_without_frames():
    with pytest.raises(ConfigError, match="auto is not: give one of box"):
        Psf.parse("auto")


@pytest.mark.parametrize("kind", ["mtf", "gauss"])
def test_equal_axes_make_a_round_psf(kind):
    fy, fx = np.linspace(-1, 1, 7)[:, None], np.linspace(-2, 2, 5)[None, :]
    turned = Psf.parse(f"{kind}:0.4,0.4,50").on_grid(fy, fx)
    np.testing.assert_allclose(turned, Psf.parse(f"{kind}:0.4").on_grid(fy, fx), rtol=1e-12)


@pytest.mark.parametrize("angle", [-130, -20, 0, 30, 90, 180])
def test_axes_are_as_wide_as_round_psfs_of_their_numbers(angle):
    """Along an axis, measured from y towards x, an elongated Gaussian is the round one with that axis' width."""
    f = np.linspace(0, 2, 9)
    y, x = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    psf = Psf.parse(f"gauss:1.2,0.7,{angle}")
    np.testing.assert_allclose(psf.on_grid(f * y, f * x), Psf.parse("gauss:1.2").transfer(f), rtol=1e-11)
    np.testing.assert_allclose(psf.on_grid(-f * x, f * y), Psf.parse("gauss:0.7").transfer(f), rtol=1e-11)


def test_mtfs_of_both_axes_are_reached_at_the_nyquist_frequency():
    psf = Psf.parse("mtf:0.2,0.4,90")
    assert psf.on_grid(np.array([0.0, 0.5]), np.array([0.5, 0.0])) == pytest.approx([0.2, 0.4], rel=1e-12)


@pytest.mark.parametrize("spec", ["box", "mtf:0.29", "mtf:0.2,0.41,30", "mtf:0.2,0.41,-75", "mtf:0.2,0.63,90"])
def test_a_specification_is_found_back_from_its_gaussian(spec):
    assert box_with(Psf.parse(spec).gaussian) == spec


@pytest.mark.parametrize("angle", [-75.0, 30.0, 90.0])
def test_axes_of_a_gaussian_are_found_back_longest_first(angle):
    assert Gaussian.along(0.5, 0.3, angle).axes == pytest.approx((0.25, 0.09, angle))
    *variances, found = Gaussian.along(0.3, 0.5, angle).axes
    assert variances == pytest.approx([0.25, 0.09])
    assert abs(found - angle) == pytest.approx(90)

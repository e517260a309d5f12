"""The quadrature of each PSF against its closed transfer function, and splines against what they must reproduce."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline
from scipy.stats import norm

from hsimisr.errors import ConfigError
from hsimisr.physics.psf import Psf
from hsimisr.physics.rendering import DEGREE, TAIL, Kernel, pixel_matrix, sample_matrix, spline_coefficients

PSFS = ["box", "mtf:0.29", "mtf:0.1", "mtf:0.6", "gauss:1.0", "gauss:0.3", "bicubic"]


@pytest.mark.parametrize("psf", PSFS)
def test_kernel_has_the_transfer_function_of_its_psf(psf):
    kernel = Kernel.of(psf, scale=2)
    frequency = np.linspace(0, 2, 81)
    transfer = np.cos(2 * np.pi * frequency[:, None] * kernel.nodes) @ kernel.weights
    # cutting both tails off and scaling back to 1 changes the transfer function by no more than twice their mass
    assert transfer == pytest.approx(Psf.parse(psf).transfer(frequency), abs=4 * norm.sf(TAIL), rel=0)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("psf", ["gauss:1.4,0.6,30", "gauss:0.6,1.4,30", "mtf:0.1,0.5,-70", "mtf:0.2,0.3,0"])
def test_copies_of_a_round_kernel_have_the_transfer_function_of_an_elongated_psf(psf, scale):
    kernel = Kernel.of(psf, scale)
    f = np.linspace(-scale / 2, scale / 2, 9)
    fy, fx = f[:, None], f[None, :]
    along = np.cos(2 * np.pi * f[:, None] * kernel.nodes) @ kernel.weights
    phases = fy[..., None] * kernel.moves[:, 0] + fx[..., None] * kernel.moves[:, 1]
    transfer = np.outer(along, along) * (np.cos(2 * np.pi * phases) @ kernel.shares)
    # the tails of three rules are cut off, and the copies are spaced for an error of 1e-7
    assert transfer == pytest.approx(Psf.parse(psf).on_grid(fy, fx), abs=12 * norm.sf(TAIL) + 2e-7, rel=0)


def test_a_round_psf_takes_one_copy():
    for psf in ("box", "mtf:0.3", "gauss:0.8,0.8,20"):
        assert np.array_equal(Kernel.of(psf, 2).moves, [[0, 0]])


def test_mtf_names_the_transfer_at_the_nyquist_frequency():
    kernel = Kernel.of("mtf:0.29", scale=3)
    assert np.cos(np.pi * kernel.nodes) @ kernel.weights == pytest.approx(0.29, abs=4 * norm.sf(TAIL))


def test_unknown_psf_is_refused():
    with pytest.raises(ConfigError, match="airy"):
        Kernel.of("airy:2", scale=2)


def test_nothing_is_rendered_with_a_psf_that_is_still_to_be_found():
    with pytest.raises(ConfigError, match="a PSF is needed here, which auto is not: give one of box"):
        Kernel.of("auto", scale=2)


def test_spline_passes_through_its_samples():
    scene = np.random.default_rng(0).normal(size=(2, 9, 12))
    points = np.stack(np.mgrid[:9, :12], -1).reshape(-1, 2).astype(float)
    values = sample_matrix(points, (9, 12)) @ spline_coefficients(scene).reshape(2, -1).T
    assert values.T.reshape(scene.shape) == pytest.approx(scene, abs=1e-12)


def test_spline_agrees_with_the_b_spline_of_scipy_away_from_the_ends():
    samples = np.random.default_rng(1).normal(size=80)
    reference = make_interp_spline(np.arange(80), samples, k=DEGREE)
    at = np.linspace(38, 42, 33)
    points = np.stack([np.full_like(at, 3.0), at], -1)
    image = np.broadcast_to(samples, (1, 7, 80))
    values = sample_matrix(points, (7, 80)) @ spline_coefficients(image).ravel()
    # the two differ in their end conditions, which fade by 0.431 a sample over the 38 samples between
    assert values == pytest.approx(reference(at), abs=1e3 * 0.431**38)


def test_pixels_of_a_constant_scene_are_that_constant():
    matrix = pixel_matrix(Kernel.of("mtf:0.29", scale=2), np.linspace(-3.0, 40.0, 17), 2, 38)
    assert matrix.sum(1) == pytest.approx(np.ones(17), abs=1e-12)

"""Power spectra: what they integrate to, and whether they are found in frames and images whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.geometry import View
from hsimisr.inversion.prior import (
    fit_power_law,
    periodic_part,
    power_law,
    radial_frequencies,
    radial_mean,
    spectrum_of,
)
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

PSF = Psf.parse("mtf:0.29")


def random_image(prior, canvas, seed=0):
    """A Gaussian random field with a given power spectrum on the canvas, ``(r, s h, s w)``."""
    noise = np.random.default_rng(seed).standard_normal((len(prior.power), *canvas.hr_shape))
    amplitude = torch.from_numpy(np.sqrt(prior.at(canvas.radius)) * canvas.scale)
    return canvas.to_image(canvas.to_spectrum(torch.from_numpy(noise)) * amplitude)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_frequencies_reach_from_the_frame_to_the_corner_of_the_hr_plane(scale):
    f = radial_frequencies(scale, (30, 50))
    assert (np.diff(f) > 0).all()
    assert f[1] == pytest.approx(1 / 50)
    assert f[-1] == pytest.approx(np.hypot(scale / 2, scale / 2))


def test_power_laws_fall_as_told():
    f = radial_frequencies(2, (40, 40))
    law = power_law(np.array([2.0, 3.5]), np.array([5.0, 7.0]), f)
    slopes = np.polyfit(np.log(f), np.log(law.power).T, 1)[0]
    assert slopes == pytest.approx([-2.0, -3.5])
    assert law.power[1] / power_law(np.array([3.5]), np.array([1.0]), f).power[0] == pytest.approx(np.full(len(f), 7.0))


def test_a_radial_mean_is_the_mean_over_a_ring():
    rng = np.random.default_rng(0)
    frequency = np.geomspace(0.1, 1, 6)
    radius, weight, power = rng.uniform(0.08, 1.1, 400), rng.uniform(0, 2, 400), rng.uniform(1, 2, (2, 400))
    found = radial_mean(power, radius, weight, frequency)
    nearest = np.abs(np.log(radius[:, None] / frequency)).argmin(1)  # rings meet at geometric means
    for n in range(6):
        ring = nearest == n
        assert found[:, n] == pytest.approx((power[:, ring] * weight[ring]).sum(1) / weight[ring].sum())


def test_empty_rings_are_filled_along_the_power_law():
    frequency = np.geomspace(0.1, 1.6, 5)
    radius = frequency[[0, 1, 3, 4]]
    found = radial_mean(radius[None] ** -3.0, radius, np.ones(4), frequency)
    assert found[0] == pytest.approx(frequency**-3.0)


def test_the_spectrum_of_white_noise_is_flat_and_integrates_to_its_variance():
    scale, shape = 2, (120, 110)
    noise = 3 * np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    frequency = np.array([0.2, 0.4, 0.7, 1.0, np.sqrt(2)])
    power = spectrum_of(noise, scale, frequency).power[0]
    # variance 9 over scale^2 squared cycles per LR pixel; a ring of n modes is uncertain by sqrt(2 / n), and the
    # narrowest holds a tenth of the plane's
    assert power == pytest.approx(np.full(5, 9 / scale**2), rel=5 * np.sqrt(2 / (0.1 * noise.size)) + 0.01)


def test_a_known_spectrum_is_read_off_an_image():
    frequency = radial_frequencies(2, (64, 64))
    truth = power_law(np.array([2.5]), np.array([100.0]), frequency)
    canvas = Canvas((0, 0), (64, 64), 2, View(0, 64, 0, 64))
    found = spectrum_of(random_image(truth, canvas).numpy().astype(np.float32), 2, frequency).power[0]
    edges = np.concatenate([[0], np.sqrt(frequency[1:] * frequency[:-1]), [np.inf]])
    count = np.histogram(canvas.radius[canvas.radius > 0], edges)[0]
    ring = count > 50
    # chance: sqrt(1 / n) of a half plane of n modes; and within a ring 2.5 powers of a width of 8 % change its mean
    assert (np.abs(np.log(found / truth.power[0]))[ring] < 4 / np.sqrt(count[ring]) + 0.08).all()


@pytest.mark.parametrize("shape", [(8, 9), (12, 7)])
def test_the_periodic_part_has_the_laplacian_without_the_jumps(shape):
    """Moisan's definition: its periodic Laplacian is that of the image over neighbours inside the frame."""
    image = np.random.default_rng(0).standard_normal((2, *shape)).cumsum(1)
    part = periodic_part(image)
    laplacian = sum(np.roll(part, step, axis) for step in (-1, 1) for axis in (1, 2)) - 4 * part
    inside = np.zeros_like(image)
    for y, x in np.ndindex(shape):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < shape[0] and 0 <= u < shape[1]:
                inside[:, y, x] += image[:, v, u] - image[:, y, x]
    assert laplacian == pytest.approx(inside, abs=1e-11)
    assert part.mean((1, 2)) == pytest.approx(image.mean((1, 2)), abs=1e-12)


def test_a_power_law_is_found_in_frames():
    """Exponent and level come from grids of 0.25 and a factor of sqrt 2; the best lies next to the truth."""
    scale, shape = 2, (48, 45)
    frequency = radial_frequencies(scale, shape)
    truth = power_law(np.array([2.0, 3.0]), np.array([400.0, 60.0]), frequency)
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    shifts = np.array([[0.0, 0.0], [0.3, -0.4], [-0.2, 0.25]])
    image = random_image(truth, canvas)
    clean = ShiftOperator(canvas, PSF, shifts, torch.device("cpu")).forward(canvas.to_spectrum(image.float()))
    frames = list((clean + torch.from_numpy(np.random.default_rng(1).standard_normal(clean.shape)).float()).numpy())
    found = fit_power_law(frames, PSF, scale)
    assert np.array_equal(found.frequency, frequency)
    slopes = np.polyfit(np.log(frequency), np.log(found.power).T, 1)[0]
    assert slopes == pytest.approx([-2.0, -3.0], abs=0.26)
    middle = np.searchsorted(frequency, 0.3)  # where the frames say most
    assert np.log2(found.power[:, middle] / truth.power[:, middle]) == pytest.approx([0, 0], abs=0.5)


def test_frames_of_noise_alone_have_little_power():
    frames = list(np.random.default_rng(0).standard_normal((3, 1, 30, 30)).astype(np.float32))
    found = fit_power_law(frames, PSF, 2)
    assert found.power[0][found.frequency > 0.1].max() < 0.2  # the noise has 1


def test_the_prior_between_rings_is_positive():
    law = PowerSpectrum(np.array([0.1, 1.0]), np.array([[0.0, 1.0]]))
    assert (law.at(np.linspace(0, 2, 30)) > 0).all()

"""The LMMSE: noise from registration, the prior read off the estimate, and the prior that follows the contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.contrast import HIGHEST, LOWEST, WIDTH, local_contrast, whitened_power
from hsimisr.inversion.fitted_prior import KNOWN, fitted_prior
from hsimisr.inversion.lmmse import follow_contrast, gradient_power, inflated, solve, solve_near, view_image
from hsimisr.inversion.prior import power_law, radial_frequencies, radial_mean
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration

CONFIG = LmmseConfig(iterations=300, tolerance=1e-6)
CPU = torch.device("cpu")


def test_gradient_power_is_the_integral_over_the_frequency_plane():
    """For an exponential spectrum, which is what is interpolated between rings, seen through a Gaussian PSF."""
    frequency = np.array([0.0, 4.0])
    prior = PowerSpectrum(frequency, np.array([np.exp(-3.0 * frequency)]))
    psf = Psf.parse("gauss:1.0")

    def ring(f):
        # the mean of (2 pi f_y)^2 over a ring is half of (2 pi f)^2; psf.on_grid(f, 0) is the radial transfer
        return 0.5 * (2 * np.pi * f) ** 2 * np.exp(-3 * f) * float(psf.on_grid(f, 0.0)) ** 2 * 2 * np.pi * f

    # a sum over a smooth integrand that has died out at the rim converges faster than any power of the spacing;
    # the kink of a radial exponential at 0, where the integrand is zero, leaves the cube of the spacing 0.05
    assert gradient_power(prior, psf) == pytest.approx([quad(ring, 0, 4)[0]], rel=1e-3)


def test_uncertain_shifts_count_as_noise(dense_problem):
    problem = dense_problem(frames=3)
    motions = [FrameMotion(np.eye(3), covariance=np.diag([a, 2 * a])) for a in (0.0, 0.01, 0.04)]
    motions.insert(1, FrameMotion(np.eye(3), covariance=np.eye(2), excluded=True))
    variance = inflated(problem.observations, Registration(tuple(motions)), problem.prior, problem.psf).variance
    slope = gradient_power(problem.prior, problem.psf)
    expected = problem.observations.variance.numpy() + np.outer([0.0, 0.03, 0.12], slope)
    assert variance.numpy() == pytest.approx(expected, rel=1e-6)


def test_the_view_is_cut_from_the_canvas(dense_problem):
    canvas = replace(dense_problem(2, (8, 9)).canvas, origin=(3, 4), view=View(5, 9, 6, 11))
    image = torch.arange(16 * 18, dtype=torch.float32).reshape(1, 16, 18)
    cut = view_image(canvas, canvas.to_spectrum(image))
    # float32 rounds in a transform of values up to 288
    assert cut == pytest.approx(image.numpy()[:, 4:12, 4:14], abs=288 * 1e-6)


@pytest.fixture(scope="module")
def known_scene():
    """Frames of random fields of known power, all over a periodic canvas, with unit noise."""
    scale, shape = 2, (48, 45)
    truth = power_law(np.array([2.6, 2.2]), np.array([900.0, 200.0]), radial_frequencies(scale, shape))
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    rng = np.random.default_rng(0)
    amplitude = torch.from_numpy(np.sqrt(truth.at(canvas.radius)) * scale)
    white = torch.from_numpy(rng.standard_normal((2, *canvas.hr_shape)))
    image = canvas.to_image(canvas.to_spectrum(white) * amplitude).float()
    operator = ShiftOperator(canvas, Psf.parse("box"), rng.uniform(-0.5, 0.5, (6, 2)), CPU)
    data = operator.forward(canvas.to_spectrum(image)) + torch.from_numpy(rng.standard_normal((6, 2, *shape))).float()
    return truth, image.numpy(), Observations(operator, data, torch.ones(6, 1, *shape), torch.ones(6, 2))


def test_the_prior_is_read_off_the_estimate(known_scene):
    """From a prior four times too strong and half a power too steep, the rings that the frames see come out right."""
    truth, _, observations = known_scene
    wrong = power_law(np.array([3.1, 2.7]), np.array([3600.0, 800.0]), truth.frequency)
    found = solve(observations, wrong, CONFIG)
    fitted = fitted_prior(view_image(observations.canvas, found.spectrum), found.equations.closed_form, wrong)
    canvas = observations.canvas
    variance = found.equations.closed_form.spectrum_variance().double().numpy() / canvas.scale**2
    weight = (np.broadcast_to(canvas.half_weight, canvas.radius.shape) * ~canvas.unpaired).ravel()
    gain = radial_mean(
        (1 - variance / wrong.at(canvas.radius)).reshape(2, -1), canvas.radius.ravel(), weight, truth.frequency
    )
    edges = np.concatenate([[0], np.sqrt(truth.frequency[1:] * truth.frequency[:-1]), [np.inf]])
    count = np.histogram(canvas.radius.ravel(), edges, weights=weight)[0]
    for image in range(2):
        unseen = np.flatnonzero(gain[image] < KNOWN)[0]
        ring = (np.arange(len(count)) < unseen) & (count > 30)
        assert ring.sum() > 5
        off = np.abs(np.log(fitted.power[image] / truth.power[image]))[ring]
        # a ring of n modes of a half plane is uncertain by sqrt(2 / n); a ring's mean of a power law by 8 %
        assert (off < 4 * np.sqrt(2 / count[ring]) + 0.08).all()


def test_the_true_prior_is_the_best(known_scene):
    """The LMMSE has the least mean square error of all linear estimates, so no other spectrum beats the true one."""
    truth, image, observations = known_scene

    def error(prior):
        return ((view_image(observations.canvas, solve(observations, prior, CONFIG).spectrum) - image) ** 2).mean(
            (1, 2)
        )

    best = error(truth)
    for tilt in (-0.5, 0.5):
        other = PowerSpectrum(truth.frequency, truth.power * (truth.frequency / 0.3) ** tilt)
        assert (error(other) > best).all()
    for factor in (0.2, 5):
        assert (error(PowerSpectrum(truth.frequency, truth.power * factor)) > best).all()


def test_the_error_is_what_the_posterior_variance_says(known_scene):
    truth, image, observations = known_scene
    found = solve(observations, truth, CONFIG)
    error = ((view_image(observations.canvas, found.spectrum) - image) ** 2).mean((1, 2))
    promised = found.equations.closed_form.pixel_variance().mean((1, 2)).numpy()
    # errors of neighbours go together: most of them come from the unseen frequencies, half of the 8640 at best
    assert error == pytest.approx(promised, rel=5 * np.sqrt(2 / (image[0].size / 4)))


def test_contrast_is_the_local_power_of_the_whitened_estimate():
    canvas = Canvas((0, 0), (10, 12), 2, View(2, 8, 2, 10))
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, *canvas.hr_shape))
    image[:, :, :12] *= 3
    flat = torch.full((2, *canvas.radius.shape), 0.25)  # whitening by a flat spectrum of 4 halves the image
    whitened = whitened_power(canvas, flat, canvas.to_spectrum(torch.from_numpy(image)))
    power = ((0.5 * image) ** 2).sum(0)
    offsets = range(-4, 5)  # four times the width
    weight = {(i, j): np.exp(-(i**2 + j**2) / (2 * WIDTH**2)) for i in offsets for j in offsets}
    smooth = sum(w * np.roll(power, at, (0, 1)) for at, w in weight.items()) / sum(weight.values())
    assert whitened.numpy() == pytest.approx(smooth, rel=1e-5)
    level = smooth[canvas.view_slices].mean()
    expected = np.clip(smooth / level, LOWEST, HIGHEST)
    assert local_contrast(whitened, level).numpy() == pytest.approx(expected, rel=1e-5)


def test_a_level_that_is_given_is_used(known_scene):
    """Twice the level is half the contrast wherever the limits do not bite."""
    truth, _, observations = known_scene
    found = solve(observations, truth, CONFIG)
    once = LmmseConfig(rounds=1)
    own = follow_contrast(found, once)
    given = follow_contrast(found, once, (2 * own.levels[0],))
    free = (own.contrast < HIGHEST) & (given.contrast > LOWEST)
    assert torch.allclose(given.contrast[free], own.contrast[free] / 2, rtol=1e-5)


def test_no_rounds_leave_the_stationary_estimate(known_scene):
    truth, _, observations = known_scene
    found = solve(observations, truth, CONFIG)
    assert follow_contrast(found, CONFIG.model_copy(update={"rounds": 0})) is found


def test_following_the_contrast_sharpens_what_is_not_stationary(known_scene):
    """Flat ground beside rough ground: the stationary estimate leaves noise on the flat and blurs the rough."""
    truth, image, observations = known_scene
    canvas = observations.canvas
    modulated = image.copy()
    modulated[..., : image.shape[-1] // 2] *= 0.1
    clean = observations.operator.forward(canvas.to_spectrum(torch.from_numpy(modulated)))
    noise = torch.from_numpy(np.random.default_rng(3).standard_normal(clean.shape)).float()
    stationary = solve(replace(observations, data=clean + noise), truth, CONFIG)
    followed = follow_contrast(stationary, LmmseConfig(rounds=2))
    errors = [((view_image(canvas, s.spectrum) - modulated) ** 2).mean() for s in (stationary, followed)]
    assert errors[1] < errors[0]
    contrast = followed.contrast.numpy()
    assert contrast[:, 8 : image.shape[-1] // 2 - 8].mean() < 0.2 * contrast[:, image.shape[-1] // 2 + 8 : -8].mean()


def test_a_solution_near_by_is_found_in_fewer_steps_and_is_the_same(known_scene):
    """Without a frame, under the contrast that all of them told; nothing of the frame is left in it."""
    prior, _, observations = known_scene
    near = follow_contrast(solve(observations, prior, CONFIG), CONFIG)
    fewer = observations.without(1)
    found = solve_near(near, fewer, CONFIG)
    plain = NormalEquations.build(fewer, prior).with_contrast(near.contrast)
    expected, steps = conjugate_gradients(plain, CONFIG.iterations, CONFIG.tolerance)
    torch.testing.assert_close(found.spectrum, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    assert found.steps < steps
    assert torch.equal(found.contrast, near.contrast)

"""The joint refinement of image and shifts: what it minimises, and that it only ever gets better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.errors import Cancelled
from hsimisr.geometry import View, translation
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations, lay_out
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration
from hsimisr.registration.joint import _misfit, refine_shifts

CPU = torch.device("cpu")


def misfit_at(observations, prior, shifts, share=1.0):
    operator = ShiftOperator(observations.canvas, observations.operator.psf, shifts, CPU)
    moved = Observations(operator, observations.data, observations.weight, observations.variance)
    equations = NormalEquations.build(moved, prior)
    image, _ = conjugate_gradients(equations, 200, 1e-6)
    return _misfit(equations, image, share)


def test_the_misfit_is_the_marginal_likelihood():
    """On a periodic canvas seen all over, the frames are Gaussian with covariance A P A' + 1: dense, in numpy."""
    scale, shape, k = 2, (5, 6), 3
    canvas = Canvas((0, 0), shape, scale, View.whole(shape))
    prior = PowerSpectrum(np.array([0.1, 1.5]), np.array([[30.0, 0.5]]))
    rng = np.random.default_rng(0)
    data = torch.from_numpy(3 * rng.standard_normal((k, 1, *shape)).astype(np.float32))
    weight, variance = torch.ones(k, 1, *shape), torch.ones(k, 1)
    scores, dense_scores = [], []
    for _ in range(2):
        shifts = rng.uniform(-0.5, 0.5, (k, 2))
        operator = ShiftOperator(canvas, Psf.parse("box"), shifts, CPU)
        scores.append(misfit_at(Observations(operator, data, weight, variance), prior, shifts))
        pixels = scale**2 * shape[0] * shape[1]
        units = torch.eye(pixels).reshape(pixels, *canvas.hr_shape)
        a = operator.forward(canvas.to_spectrum(units)).permute(0, 2, 3, 1).reshape(-1, pixels).double().numpy()
        fourier = np.fft.fft2(np.eye(pixels).reshape(pixels, *canvas.hr_shape), norm="ortho").reshape(pixels, pixels)
        fy, fx = (np.fft.fftfreq(n) * scale for n in canvas.hr_shape)
        power = prior.at(np.hypot(fy[:, None], fx[None, :]))[0].ravel() * scale**2
        covariance = a @ (fourier @ np.diag(power) @ fourier.conj().T).real @ a.T + np.eye(len(a))
        y = data.double().numpy().ravel()
        dense_scores.append(y @ np.linalg.solve(covariance, y) + np.linalg.slogdet(covariance)[1])
    # they differ by the prior's determinant, which knows of no shifts; float32 solves leave 1e-6 of the value
    assert np.diff(scores) == pytest.approx(np.diff(dense_scores), abs=5e-6 * abs(scores[0]))


@pytest.fixture(scope="module")
def start(eigen_frames):
    """Frames whose shifts are wrong by a tenth of a pixel."""
    truth = eigen_frames.simulation.motions[:, :2, 2]
    wrong = truth + 0.1 * np.random.default_rng(0).choice([-1, 1], truth.shape)
    wrong[0] = 0
    registration = Registration(tuple(FrameMotion(translation(s)) for s in wrong))
    count = 4
    canvas = Canvas.around(View.whole(eigen_frames.frames[0].shape[1:]), 4, 2)
    observations = lay_out(
        [f[:count] for f in eigen_frames.frames], eigen_frames.masks, registration, canvas, eigen_frames.psf, CPU
    )
    prior = PowerSpectrum(eigen_frames.prior.frequency, eigen_frames.prior.power[:count])
    return observations, prior, wrong - truth


def test_every_step_lowers_the_misfit(start):
    observations, prior, error = start
    fractions = observations.operator.shifts
    share = float(observations.weight.mean())
    values = [misfit_at(observations, prior, fractions, share)]
    for steps in (1, 2, 4):
        change = refine_shifts(observations, prior, fractions, 0, steps).change
        values.append(misfit_at(observations, prior, fractions + change, share))
    assert (np.diff(values) < 0).all()
    # a tenth of a pixel to start with; 0.005 is the target of the design at twice the scale
    assert np.sqrt(((error + change)[1:] ** 2).mean()) < 0.005


def test_from_another_start_it_ends_at_the_same_place(start):
    observations, prior, error = start
    found = refine_shifts(observations, prior, observations.operator.shifts, 0, 12)
    other = 0.05 * np.random.default_rng(1).standard_normal(error.shape)
    other[0] = 0
    fractions = observations.operator.shifts + other
    operator = ShiftOperator(observations.canvas, observations.operator.psf, fractions, CPU)
    moved = Observations(operator, observations.data, observations.weight, observations.variance)
    again = refine_shifts(moved, prior, fractions, 0, 12)
    # both end when a step falls below 2e-4 LR pixels; a few more such steps may be left
    assert other + again.change == pytest.approx(found.change, abs=10 * 2e-4)


def test_covariances_are_those_of_a_distribution(start):
    observations, prior, _ = start
    found = refine_shifts(observations, prior, observations.operator.shifts, 0, 4)
    assert not found.covariance[0].any()
    for covariance in found.covariance[1:]:
        assert covariance == pytest.approx(covariance.T, rel=1e-5)
        assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_a_caller_can_stop_it(start):
    observations, prior, _ = start

    def stop(step):
        raise Cancelled

    with pytest.raises(Cancelled):
        refine_shifts(observations, prior, observations.operator.shifts, 0, 4, stop)

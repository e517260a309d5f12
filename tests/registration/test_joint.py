"""The joint refinement of image and motions: what it minimises, and that it only ever gets better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.errors import Cancelled
from hsimisr.geometry import View, translation
from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import observe
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations, canvas_offset, operator_for
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration
from hsimisr.registration.joint import _misfit, covered_share, pixel_score, refine_motions, shifted
from hsimisr.registration.register import basis_of

CPU = torch.device("cpu")
ENOUGH = 2e-4
EXACT = LmmseConfig(iterations=300, tolerance=1e-5)


def moved(observations, motions):
    """The same data under other motions."""
    canvas, psf = observations.canvas, observations.operator.psf
    offsets = np.stack([canvas_offset(motion, canvas) for motion in motions])
    return replace(observations, operator=operator_for(canvas, psf, motions, offsets, CPU))


def refined(observations, prior, motions, steps, model="translation", **more):
    basis = basis_of(model, observations.canvas.shape, CPU)
    return refine_motions(observations, prior, motions, basis, 0, steps, ENOUGH, **more)


def shifts_of(motions):
    return np.stack([motion.shift for motion in motions])


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
        operator = ShiftOperator(canvas, Psf.parse("box"), rng.uniform(-0.5, 0.5, (k, 2)), CPU)
        equations = NormalEquations.build(Observations(operator, data, weight, variance), prior)
        image, _ = conjugate_gradients(equations, EXACT.iterations, EXACT.tolerance)
        scores.append(_misfit(equations, image, 1.0))
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


def town_seen(eigen_frames, motions):
    """The strongest eigen-images of frames of a town on a canvas with a margin, laid out under these motions."""
    whole = View.whole(eigen_frames.frames[0].shape[1:])
    o = observe(eigen_frames.window, eigen_frames.scene(Registration(motions)), whole, CPU)
    return replace(o, data=o.data[:, :3].contiguous(), variance=o.variance[:, :3].contiguous())


@pytest.fixture(scope="module")
def town(eigen_frames):
    """Observations under the true shifts, prior, and the shifts."""
    true = eigen_frames.simulation.registration.frames
    prior = PowerSpectrum(eigen_frames.prior.frequency, eigen_frames.prior.power[:3])
    return town_seen(eigen_frames, true), prior, true


@pytest.mark.parametrize(("kind", "frame"), [("drawn", 1), ("drawn", 3), ("town", 2)])
def test_the_score_is_the_slope_of_the_marginal_likelihood(kind, frame, town, draw_frames):
    """Against a central difference of the misfit, the image solved for anew; the image's own slope is zero there."""
    drawn = draw_frames()
    observations, prior, true = town if kind == "town" else (drawn.observations, drawn.prior, drawn.motions)
    share = covered_share(observations)
    contrast = lmmse.follow_contrast(lmmse.solve(observations, prior, EXACT), EXACT).contrast

    def solved(shift):
        shifted = replace(true[frame], matrix=translation(shift) @ true[frame].matrix)
        motions = [shifted if k == frame else motion for k, motion in enumerate(true)]
        equations = NormalEquations.build(moved(observations, motions), prior).with_contrast(contrast)
        return equations, conjugate_gradients(equations, EXACT.iterations, EXACT.tolerance)[0]

    here, step = np.array([0.1, -0.05]), 0.01
    equations, image = solved(here)
    o = equations.observations
    error = o.data - o.operator.forward(image)
    score = pixel_score(equations, o.operator.derivative(image), error, share)[frame].sum((1, 2)).numpy()
    ahead, behind = (
        np.array([_misfit(*solved(here + sign * step * axis), share) for axis in np.eye(2)]) for sign in (1, -1)
    )
    # a central difference of a function with slopes that double within 0.1 px is off by (0.01 / 0.1)^2 / 6
    assert score == pytest.approx((behind - ahead) / (4 * step), rel=0.1**2 / 6)


def test_an_error_that_all_frames_share_is_found(town, eigen_frames):
    """Against a reference that alone contradicts them."""
    _, prior, true = town
    off = translation(np.array([0.06, -0.04]))
    motions = (true[0], *(replace(m, matrix=off @ m.matrix) for m in true[1:]))
    found = refined(town_seen(eigen_frames, motions), prior, motions, 6)
    error = shifts_of(found.motions) - shifts_of(true)
    assert np.sqrt((error[1:] ** 2).mean()) < 0.003
    assert not error[0].any()


def test_an_affine_error_that_all_frames_share_is_found(turned_frames):
    """A tenth of it is left at most, and the reference is still what the others are measured against."""
    true = turned_frames.simulation.registration.frames
    off = translation(np.array([0.06, -0.04])) @ np.array([[1.001, -0.002, 0], [0.002, 0.999, 0], [0, 0, 1]])
    motions = (true[0], *(replace(m, matrix=off @ m.matrix) for m in true[1:]))
    prior = PowerSpectrum(turned_frames.prior.frequency, turned_frames.prior.power[:3])
    found = refined(town_seen(turned_frames, motions), prior, motions, 6, "affine")
    given, left = (turned_frames.position_errors(Registration(tuple(by))) for by in (motions, found.motions))
    assert np.abs(left).mean() < 0.1 * np.abs(given).mean()
    assert np.array_equal(found.motions[0].matrix, np.eye(3))


def test_an_image_to_begin_from_ends_at_the_same_place(town, eigen_frames):
    """Its pixels are trusted as they were when it was found."""
    _, prior, true = town
    off = 0.05 * np.random.default_rng(0).choice([-1, 1], (len(true), 2)) * (np.arange(len(true)) > 0)[:, None]
    motions = tuple(replace(m, matrix=translation(d) @ m.matrix) for m, d in zip(true, off, strict=True))
    seen = town_seen(eigen_frames, motions)
    start = lmmse.solve(seen, prior, EXACT)
    begun = refined(seen, prior, motions, 6, start=start)
    anew = refined(seen, prior, motions, 6)
    assert shifts_of(begun.motions) == pytest.approx(shifts_of(anew.motions), abs=10 * ENOUGH)
    assert torch.equal(begun.equations.observations.weight, start.equations.observations.weight)


def test_moving_the_image_is_moving_every_frame(town):
    observations, _, _ = town
    canvas, move = observations.canvas, torch.tensor([0.21, -0.34])
    rng = np.random.default_rng(0)
    image = canvas.to_spectrum(torch.from_numpy(rng.standard_normal((1, *canvas.hr_shape))).float())
    here = ShiftOperator(canvas, observations.operator.psf, observations.operator.shifts, CPU)
    there = ShiftOperator(canvas, observations.operator.psf, here.shifts + move.numpy(), CPU)
    assert torch.allclose(here.forward(shifted(canvas, image, move)), there.forward(image), atol=1e-5)


def test_every_step_lowers_the_misfit(town, eigen_frames):
    """From shifts that are a tenth of a pixel off."""
    _, prior, true = town
    off = 0.1 * np.random.default_rng(0).choice([-1, 1], (len(true), 2)) * (np.arange(len(true)) > 0)[:, None]
    motions = tuple(replace(m, matrix=translation(d) @ m.matrix) for m, d in zip(true, off, strict=True))
    observations = town_seen(eigen_frames, motions)
    share = covered_share(observations)
    values, steps = [], []
    for most in (1, 2, 3, 6):
        found = refined(observations, prior, motions, most)
        values.append(_misfit(found.equations, found.image, share))
        steps.append(found.steps)
    assert steps[:2] == [1, 2]
    assert (np.diff(values) <= 0).all()
    assert values[1] < values[0]
    error = shifts_of(found.motions) - shifts_of(true)
    assert np.sqrt((error[1:] ** 2).mean()) < 0.005  # from 0.1; the target of the design at twice the scale
    assert not error[0].any()


@pytest.mark.parametrize("size", [0.1, 0.7, 1.3])
def test_from_a_wrong_start_the_misfit_never_rises(draw_frames, size):
    """However wrong the start: the misfit after one more step is at most that before it."""
    drawn = draw_frames(seed=3, noise=2.0)
    off = size * np.random.default_rng(1).choice([-1, 1], (4, 2)) * (np.arange(4) > 0)[:, None]
    motions = tuple(FrameMotion(translation(m.shift + d)) for m, d in zip(drawn.motions, off, strict=True))
    o = drawn.observations
    whole = [canvas_offset(motion, o.canvas) for motion in motions]
    laid_out = torch.stack([frame.roll(tuple(-n), (-2, -1)) for frame, n in zip(o.data, whole, strict=True)])
    start = moved(replace(o, data=laid_out), motions)
    share = covered_share(start)
    found = [refined(start, drawn.prior, motions, steps) for steps in range(1, 10)]
    values = [_misfit(f.equations, f.image, share) for f in found]
    assert (np.diff(values) <= 0).all()
    assert [f.steps for f in found] == sorted(f.steps for f in found)


def test_from_another_start_it_ends_at_the_same_place(draw_frames):
    drawn = draw_frames()
    ends = []
    for seed in (1, 2):
        off = 0.05 * np.random.default_rng(seed).standard_normal((4, 2)) * (np.arange(4) > 0)[:, None]
        motions = tuple(FrameMotion(translation(m.shift + d)) for m, d in zip(drawn.motions, off, strict=True))
        found = refined(moved(drawn.observations, motions), drawn.prior, motions, 12)
        ends.append(shifts_of(found.motions))
    # both end when a step falls below that; the prior follows the contrast of the first image, which the start blurs
    assert ends[0] == pytest.approx(ends[1], abs=10 * ENOUGH)


def test_affine_motions_of_a_periodic_scene_are_left_where_they_are_true(draw_frames):
    """Parameters that are not needed stay within their noise, and the motions stay normalised."""
    drawn = draw_frames(noise=0.5)
    found = refined(drawn.observations, drawn.prior, drawn.motions, 4, "affine")
    for motion in found.motions:
        assert motion.matrix[2].tolist() == [0, 0, 1]
        assert 10 * np.abs(motion.matrix[:2, :2] - np.eye(2)).max() < 0.1  # LR pixels at the edge of the frame
    assert np.array_equal(found.motions[0].matrix, np.eye(3))


def test_the_image_solves_its_equations(draw_frames):
    """Nearly: the coupled steps end with image and motions together."""
    drawn = draw_frames()
    found = refined(drawn.observations, drawn.prior, drawn.motions, 8)
    exact, _ = conjugate_gradients(found.equations, EXACT.iterations, EXACT.tolerance)
    canvas = drawn.observations.canvas
    apart = canvas.to_image(found.image - exact).pow(2).mean().sqrt()
    error_bar = found.equations.closed_form.pixel_variance().mean().sqrt()
    assert apart < 0.05 * error_bar


def test_a_caller_can_stop_it(draw_frames):
    drawn, seen = draw_frames(), []

    def stop(step):
        seen.append(step)
        raise Cancelled

    with pytest.raises(Cancelled):
        refined(drawn.observations, drawn.prior, drawn.motions, 4, on_step=stop)
    assert seen == [0]

"""How well the motions are known: honest where the model holds, and as uncertain as the frames make it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.registration.joint import refine_motions
from hsimisr.registration.register import basis_of
from hsimisr.registration.uncertainty import position_covariance

CPU = torch.device("cpu")
SEEDS = range(24)


def refined(drawn, model="translation", steps=6):
    """Motions from the truth on, and their covariances."""
    basis = basis_of(model, drawn.observations.canvas.shape, CPU)
    found = refine_motions(drawn.observations, drawn.prior, drawn.motions, basis, 0, steps, 3e-4)
    return found.motions, position_covariance(found.equations, found.image, basis, 0)


def solved(drawn):
    equations = NormalEquations.build(drawn.observations, drawn.prior)
    return equations, conjugate_gradients(equations, 200, 1e-5)[0]


def at_the_truth(drawn, model="translation", reference=0):
    basis = basis_of(model, drawn.observations.canvas.shape, CPU)
    return position_covariance(*solved(drawn), basis, reference)


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_error_bars_of_shifts_are_honest(draw_frames, noise):
    """d' C^-1 d of a shift has mean 2 over scenes drawn from the prior.

    Three shifts share a reference in each of 24 scenes, so there are at least 24 independent values of variance 4:
    the mean is known to 2 / sqrt(24) = 0.4. Blocks that disagree by chance make the covariance larger, never smaller:
    that of 20 blocks varies by sqrt(2 / 20) = 30 %, half of the times upwards.
    """
    scores = []
    for seed in SEEDS:
        drawn = draw_frames(seed, noise)
        motions, covariance = refined(drawn)
        for found, true, c in list(zip(motions, drawn.motions, covariance, strict=True))[1:]:
            error = found.shift - true.shift
            scores.append(error @ np.linalg.solve(c, error))
    assert 2 / 1.3 - 0.8 < np.mean(scores) < 2 + 0.8


def test_covariances_are_those_of_a_distribution(draw_frames):
    for model in ("translation", "affine"):
        covariance = at_the_truth(draw_frames(), model)
        assert not covariance[0].any()
        for c in covariance[1:]:
            assert c == pytest.approx(c.T, rel=1e-5)
            assert (np.linalg.eigvalsh(c) > 0).all()


def test_noise_makes_them_larger(draw_frames):
    """Sixteenfold for four times the noise at most: what is noise for one is texture for the other."""
    variance = [np.trace(at_the_truth(draw_frames(noise=noise))[1]) for noise in (0.25, 1.0, 4.0)]
    assert 1.5 * variance[0] < variance[1] < 30 * variance[0]
    assert 1.5 * variance[1] < variance[2] < 30 * variance[1]


def test_a_motion_of_more_parameters_is_known_less_well(draw_frames):
    """Six numbers a frame leave its points three times the variance of two, seen from its mean over the frame."""
    shift, affine = (
        np.mean([np.trace(c) for c in at_the_truth(draw_frames(), m)[1:]]) for m in ("translation", "affine")
    )
    assert 1.5 * shift < affine < 6 * shift


def test_more_frames_help_each_other(draw_frames):
    """The scene is known better, and a frame's position with it."""
    few, many = (np.mean([np.trace(at_the_truth(draw_frames(seed, frames=k))[1]) for seed in range(4)]) for k in (2, 8))
    assert many < few


def test_the_reference_may_be_any_frame(draw_frames):
    covariance = at_the_truth(draw_frames(), reference=2)
    assert [bool(c.any()) for c in covariance] == [True, True, False, True]


def test_a_frame_that_moved_differently_in_its_halves_is_known_less_well(draw_frames):
    """Blocks of it disagree about its shift by more than the noise explains."""
    drawn = draw_frames(noise=0.5)
    o = drawn.observations
    _, slope = o.operator.derivative(solved(drawn)[1])[1]
    half = o.canvas.shape[0] // 2
    data = o.data.clone()
    data[1, :, :half] += 0.1 * slope[:, :half]
    data[1, :, half:] -= 0.1 * slope[:, half:]
    torn = replace(drawn, observations=replace(o, data=data))
    assert np.trace(at_the_truth(torn)[1]) > 2 * np.trace(at_the_truth(drawn)[1])

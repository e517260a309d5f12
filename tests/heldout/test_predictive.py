"""Predictive variances of held-out frames against dense matrices and against residuals of drawn scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hsimisr.geometry import View
from hsimisr.heldout.judge import held_out_residuals, score
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.inversion.variance import SMALL
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import PowerSpectrum

SINGLE = 1e-4
"""Float32 responses and blocks, condition numbers of some hundreds."""
PRIOR = PowerSpectrum(np.array([0.05, 0.3, 1.0, 3.0]), np.array([[40.0, 8.0, 1.0, 0.1], [5.0, 2.0, 0.4, 0.05]]))


@pytest.fixture(scope="module")
def small():
    """Four frames of different noise on a canvas as wide as the one that variances are computed on."""
    canvas = Canvas((0, 0), (SMALL, SMALL), 1, View.whole((SMALL, SMALL)))
    rng = np.random.default_rng(0)
    operator = ShiftOperator(canvas, Psf.parse("mtf:0.29"), rng.uniform(-0.5, 0.5, (4, 2)), torch.device("cpu"))
    variance = torch.from_numpy(rng.uniform(1, 2, (4, 2)).astype(np.float32))
    return Observations(operator, torch.zeros(4, 2, SMALL, SMALL), torch.ones(4, 1, SMALL, SMALL), variance)


def dense(o: Observations, k: int, image: int, prior=PRIOR) -> np.ndarray:
    """``1 + diag(A_k C A_k') / sigma^2`` ``(h, w)``, C given all other frames, by the columns of A and of Q."""
    canvas = o.canvas
    pixels = canvas.hr_shape[0] * canvas.hr_shape[1]
    units = canvas.to_spectrum(torch.eye(pixels).reshape(pixels, *canvas.hr_shape))
    a = o.operator.forward(units).double().numpy().transpose(0, 2, 3, 1).reshape(len(o.data), -1, pixels)
    precision = torch.from_numpy((1 / prior.at(canvas.radius)[image] / canvas.scale**2).astype(np.float32))
    q = canvas.to_image(units * precision).double().numpy().reshape(pixels, pixels)
    weight = o.precision[:, image].double().numpy().reshape(len(o.data), -1)
    for n in range(len(o.data)):
        if n != k:
            q = q + a[n].T @ (weight[n][:, None] * a[n])
    spread = np.einsum("ip,pi->i", a[k], np.linalg.solve(q, a[k].T))
    return 1 + spread.reshape(canvas.shape) * float(o.trust[k, image])


def test_where_all_frames_are_seen_it_is_the_dense_diagonal(small):
    found = predictive_variance(small, (2,), PRIOR)
    for image in range(2):
        assert found[0, image].numpy() == pytest.approx(dense(small, 2, image), rel=SINGLE)


def test_where_the_others_see_nothing_the_prior_is_left(small):
    weight = small.weight.clone()
    weight[[0, 1, 3], :, :, 12:] = 0
    half = replace(small, weight=weight)
    found, full = (predictive_variance(o, (2,), PRIOR)[0] for o in (half, small))
    alone = predictive_variance(small.without(0).without(1).without(3), (2,), PRIOR)[0]
    for image in range(2):
        # away from the borders, over which the prior reaches
        assert found[image, :, 17:19].numpy() == pytest.approx(alone[image, :, 17:19].numpy(), rel=SINGLE)
        assert found[image, :, 3:9].numpy() == pytest.approx(full[image, :, 3:9].numpy(), rel=SINGLE)
    assert bool((alone - 1 > 3 * (full - 1)).all())


def test_frames_held_out_together_do_not_help_each_other(small):
    both = predictive_variance(small, (1, 2), PRIOR)
    assert both[1].numpy() == pytest.approx(predictive_variance(small.without(1), (2,), PRIOR)[0].numpy(), rel=SINGLE)
    assert bool((both[1] > predictive_variance(small, (2,), PRIOR)[0]).all())


def test_it_does_not_depend_on_the_order_of_the_others(small):
    weight = small.weight.clone()
    weight[0, :, :8] = 0
    weight[1, :, 4:20, :9] = 0
    o = replace(small, weight=weight)
    order = [1, 3, 2, 0]
    operator = ShiftOperator(o.canvas, o.operator.psf, o.operator.shifts[order], torch.device("cpu"))
    turned = Observations(operator, o.data[order], o.weight[order], o.variance[order])
    assert predictive_variance(turned, (2,), PRIOR).numpy() == pytest.approx(
        predictive_variance(o, (2,), PRIOR).numpy(), rel=SINGLE
    )


@pytest.mark.parametrize("contrast", [0.1, 1.0, 10.0])
def test_an_even_contrast_is_a_stronger_or_weaker_prior(small, contrast):
    found = predictive_variance(small, (2,), PRIOR, torch.full(small.canvas.hr_shape, contrast))
    other = PowerSpectrum(PRIOR.frequency, PRIOR.power * contrast)
    # between nodes a factor 4 apart it is interpolated
    assert found[0, 0].numpy() == pytest.approx(dense(small, 2, 0, other), rel=0.01)


def test_the_lmmse_that_follows_contrast_scores_one_where_contrast_is_high_and_low(laboratory, solved):
    """The variance under a stationary prior is too large where the scene is flat and too small where it is busy."""
    lab = laboratory(frames=4, variances=(4000.0, 600.0, 50.0))
    off = {"local": [], "even": []}
    stderr = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rough = gaussian_filter(rng.standard_normal(lab.canvas.hr_shape), 6, mode="wrap")
        contrast = torch.from_numpy(np.exp(1.8 * rough / rough.std()).clip(0.03, 100)).float()
        o = lab.observe(lab.scene(rng, contrast), rng)
        (left,) = held_out_residuals(o, (2,), solved(o, (2,), lab.prior, contrast))
        on_lr = torch.nn.functional.avg_pool2d(contrast.log()[None], lab.canvas.scale)[0]
        for kind, given in (("local", contrast), ("even", None)):
            predictive = predictive_variance(o, (2,), lab.prior, given)
            parts = [replace(left, counts=left.counts & where) for where in (on_lr < -1, on_lr > 1)]
            found = [score([part], predictive) for part in parts]
            off[kind].append([part.normalised - 1 for part in found])
        stderr.append([part.stderr for part in found])
    clear = 4 * np.sqrt((np.array(stderr) ** 2).sum(0)) / len(stderr)
    (flat, busy), (flat_even, busy_even) = (np.mean(off[kind], 0) for kind in ("local", "even"))
    assert abs(flat) < clear[0]
    assert abs(busy) < clear[1]
    assert flat_even < -clear[0]
    assert busy_even > clear[1]


def test_under_clouds_of_the_others_it_grows_as_residuals_do(laboratory, solved, masked):
    lab, rng = laboratory(frames=4), np.random.default_rng(5)
    hidden = torch.zeros(4, *lab.canvas.shape, dtype=torch.bool)
    hidden[0, 10:40, 10:60] = hidden[1, 14:44, 10:60] = True
    o = masked(lab.observe(lab.scene(rng), rng), hidden)
    (left,) = held_out_residuals(o, (2,), solved(o, (2,), lab.prior))
    predictive = predictive_variance(o, (2,), lab.prior)
    under = torch.zeros(lab.canvas.shape, dtype=torch.bool)
    under[16:38, 12:58] = True  # one frame of three is left
    for where in (under, ~(hidden[0] | hidden[1])):
        found = score([replace(left, counts=left.counts & where)], predictive)
        assert found.normalised == pytest.approx(1, abs=4 * found.stderr)
    assert float(predictive[0, 0, 20:34, 20:50].mean()) > 1.2 * float(predictive[0, 0, 50:, :].mean())

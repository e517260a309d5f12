"""What held-out frames say of error bars: the truth where it can be told, nothing where it can't."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.heldout.judge import held_out_residuals
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.uncertainty.heldout import SPREAD, Told, told_by


@pytest.fixture(scope="module")
def judged(world, some_of):
    """Residuals of the last of some frames, and the variances they should have."""

    def judged(count, seed=0):
        rng = np.random.default_rng(seed)
        o = world.observe(world.scene(rng), count + 1, rng)
        residuals = held_out_residuals(o, (count,), world.estimate(some_of(o, range(count))))
        return residuals, predictive_variance(o, (count,), world.prior)

    return judged


def narrower(predictive, factor):
    return 1 + (predictive - 1) / factor


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_it_tells_by_what_variances_are_wrong(judged, factor):
    found = []
    for seed in range(6):
        residuals, predictive = judged(1, seed)
        found.append(told_by(residuals, narrower(predictive, factor)))
    mean = np.mean([told.ratio for told in found], axis=0)
    stderr = np.sqrt(np.mean([told.stderr**2 for told in found], axis=0) / len(found))
    assert (np.abs(mean - factor) < 4 * stderr).all()


def test_its_standard_errors_are_those_of_repetitions(judged):
    found = [told_by(*judged(1, seed)) for seed in range(12)]
    scatter = np.std([told.ratio for told in found], axis=0, ddof=1)
    stated = np.mean([told.stderr for told in found], axis=0)
    # twelve repetitions know their scatter to a fifth; the stated one holds the noise's share too
    assert (scatter < 1.8 * stated).all()
    assert (scatter > stated / 2.5).all()


def test_with_many_frames_less_can_be_told(judged):
    few, many = (told_by(*judged(count)) for count in (1, 8))
    assert (many.stderr > 2 * few.stderr).all()


def test_a_thing_that_moved_does_not_widen_the_bars(judged):
    residuals, predictive = judged(1)
    moved = residuals[0].whitened.clone()
    moved[:, 20:26, 20:26] += 30
    plain, disturbed = (told_by([left], predictive) for left in (residuals[0], replace(residuals[0], whitened=moved)))
    assert (np.abs(disturbed.ratio - plain.ratio) < 2 * plain.stderr).all()


def test_where_nothing_counts_nothing_is_told(judged):
    residuals, predictive = judged(1)
    silent = replace(residuals[0], counts=torch.zeros_like(residuals[0].counts))
    told = told_by([silent], predictive)
    assert np.array_equal(told.ratio, np.ones(2))
    assert np.array_equal(told.believed, np.zeros(2))


def test_what_is_believed_is_what_chance_does_not_explain():
    """The mean of a normal posterior, prior spread `SPREAD` about 1."""
    told = Told(np.array([1.4, 1.4, 1.4, 1.0]), np.array([0.0, SPREAD, np.inf, 0.1]))
    np.testing.assert_allclose(told.believed, [0.4, 0.2, 0.0, 0.0], atol=1e-12)

"""Measured or inferred: what frames determine holds when others check it, and what a network adds is inferred."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.inversion.variance import Posterior
from hsimisr.physics.types import Subspace
from hsimisr.uncertainty.determined import changed_detail, still_determined


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_share_is_that_of_the_detail_in_drawn_scenes(world, count):
    """Of the energy of scenes that obey their prior, the error of the estimate takes what is left open."""
    rng = np.random.default_rng(count)
    found, promised = [], []
    for _ in range(8):
        scene = world.scene(rng)
        o = world.observe(scene, count, np.random.default_rng(rng.integers(2**32)))
        error = world.detail(world.estimate(o) - scene)
        found.append(1 - (error**2).sum() / (world.detail(scene) ** 2).sum())
        promised.append(world.posterior(o).determined.mean())
    off = np.subtract(found, promised)
    assert abs(off.mean()) < 4 * off.std(ddof=1) / len(off) ** 0.5


def test_the_share_falls_with_every_frame_that_is_left_out(world, some_of):
    rng = np.random.default_rng(0)
    o = world.observe(world.scene(rng), 8, rng)
    shares = [float(world.posterior(some_of(o, range(n))).determined.mean()) for n in (8, 4, 2, 1, 0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.3
    assert shares[-1] == pytest.approx(0, abs=1e-6)


def test_estimates_from_two_halves_agree_within_their_bars(world, some_of):
    """What they infer is alike, so they differ by less than both bars; and most where little is determined."""
    rng = np.random.default_rng(3)
    scene = world.scene(rng)
    o = world.observe(scene, 16, rng)
    halves = [some_of(o, range(start, 16, 2)) for start in (0, 1)]
    apart = world.detail(world.estimate(halves[0]) - world.estimate(halves[1]))
    posteriors = [world.posterior(half) for half in halves]
    for image in range(2):
        assert (apart[image] ** 2).mean() < sum(p.variance[image].mean() for p in posteriors)
    inferred = 1 - np.mean([p.determined.mean() for p in posteriors])
    assert (apart**2).sum() / (world.detail(scene) ** 2).sum() < 2 * inferred


def subspace_of(basis):
    bands, rank = np.shape(basis)
    return Subspace(np.zeros(bands), np.ones(bands), np.asarray(basis), np.ones(rank), np.zeros(bands, bool))


def test_changed_detail_is_the_energy_beyond_what_a_frame_carries(world):
    canvas = world.canvas
    y, x = np.indices(canvas.hr_shape) / canvas.scale  # LR pixels
    coarse = np.cos(2 * np.pi * x * 8 / canvas.shape[1])
    fine = np.cos(2 * np.pi * y * 36 / canvas.shape[0])  # 36 waves over 56 pixels or more: beyond half a wave a pixel
    change = torch.from_numpy(np.stack([5 * coarse + 2 * fine, 3 * coarse])).float()
    energy = changed_detail(change, canvas, subspace_of(2 * np.array([[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]])))
    assert energy.shape == canvas.view.shape
    assert energy.mean() == pytest.approx(2**2 * 2**2 / 2, rel=0.01)
    assert np.abs(energy - energy.mean()).max() < 0.2 * energy.mean()


def test_what_a_stage_adds_is_inferred():
    maps = {"variance": np.ones((2, 4, 4), np.float32), "detail": np.full((2, 2), 10, np.float32)}
    posterior = Posterior(determined=np.array([[0.9, 0.9], [0.5, 0.0]], np.float32), **maps)
    changed = np.array([[0, 2], [8, 1]], np.float32)
    np.testing.assert_allclose(still_determined(posterior, changed), [[0.9, 0.7], [0, 0]], atol=1e-6)
    assert np.array_equal(still_determined(posterior, 0 * changed), posterior.determined)

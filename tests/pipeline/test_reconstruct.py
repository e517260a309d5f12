"""A view by many tiles against the same view by one."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import BicubicConfig, LmmseConfig
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.reconstruct import _by_tiles, reconstruct
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.tiles import SMALLEST

WHOLE = View(0, 32, 0, 32)


@pytest.fixture
def context():
    return Context(0, torch.device("cpu"), 0, lambda event: None, threading.Event())


def by_tiles(stack, scene, config, context, side):
    return _by_tiles(stack, scene, WHOLE, config, context, True, True, side)


def test_bicubic_does_not_see_the_tiles(stack, finished, context):
    """Its four taps fit into the halo; where tiles blend, float32 weights add up to 1 to one part in 1e7."""
    one, many = (by_tiles(stack, finished.scene, BicubicConfig(), context, side).mean for side in (32, SMALLEST))
    assert many == pytest.approx(one, abs=4e-7 * float(np.abs(one).max()))


def test_small_tiles_stay_within_the_error_bar(stack, finished, context):
    """A tile knows the data within four pixels of it; what lies beyond changes little of what it can tell."""
    config = LmmseConfig(rounds=0)
    one, many = (by_tiles(stack, finished.scene, config, context, side) for side in (32, SMALLEST))
    inner = (slice(None), slice(8, -8), slice(8, -8))
    apart = ((many.mean - one.mean) / np.sqrt(one.variance))[inner]
    assert np.sqrt(np.mean(apart**2)) < 0.1
    assert np.abs(apart).max() < 1
    assert many.variance[inner] == pytest.approx(one.variance[inner], rel=1e-4)


def test_the_contrast_of_a_tile_is_that_of_the_whole(context):
    """A flat tile is flat beside the rest of the scene, not for itself."""
    scene = town((82, 82), bands=12, seed=3).cube
    flat = scene[:, :40].mean((1, 2), keepdims=True)
    scene[:, :40] = flat + 0.05 * (scene[:, :40] - flat)
    frames = simulate(scene, 2, 4, snr=30, max_shift=1.8, seed=1).frames
    stack = FrameStack(tuple(Cube.from_array(f) for f in frames))
    model = estimate_scene(stack, PipelineConfig(), context)
    upper = (slice(None), slice(8, 20), slice(8, -8))

    def apart(model):
        one, many = (by_tiles(stack, model, LmmseConfig(), context, side) for side in (32, SMALLEST))
        return np.sqrt(np.mean(((many.mean - one.mean) / np.sqrt(one.variance))[upper] ** 2))

    shared, each_for_itself = apart(model), apart(replace(model, contrast_levels=()))
    assert shared < 0.2
    assert shared < each_for_itself / 3


def test_the_residual_has_no_seams(stack, finished, context):
    one, many = (by_tiles(stack, finished.scene, BicubicConfig(), context, side) for side in (32, SMALLEST))
    sigma = finished.scene.noise[:, None, None]
    assert np.sqrt(np.mean(((many.residual - one.residual) / sigma) ** 2)) < 0.2


def test_what_is_not_asked_for_is_not_made(stack, finished, context):
    estimate = reconstruct(stack, finished.scene, WHOLE, LmmseConfig(), context, False, False)
    assert estimate.variance is None
    assert estimate.residual is None
    assert estimate.residual_variance is None


def test_the_grid_is_that_of_the_view(stack, finished, context):
    view = View(3, 20, 5, 31)
    estimate = reconstruct(stack, finished.scene, view, PipelineConfig().invert, context)
    assert estimate.grid.view == view
    assert estimate.mean.shape == (finished.scene.subspace.rank, 34, 52)
    assert estimate.residual.shape == (stack.bands, 17, 26)

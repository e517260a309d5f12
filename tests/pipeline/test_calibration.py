"""Calibrated error bars: once for a stack, the same in every view and tile, and off where that is asked for."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.types import Registration
from hsimisr.pipeline.calibration import calibrated, tell
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.uncertainty.widths import shipped_widths, snr_of

WHOLE = View(0, 32, 0, 32)


@pytest.fixture
def context():
    return Context(0, torch.device("cpu"), 0, lambda event: None, threading.Event())


@pytest.fixture(scope="module")
def plain(finished):
    return replace(finished.scene, bar_scale=None)


def test_bars_are_multiplied_by_the_scale_and_nothing_else_changes(stack, plain, context):
    scale = np.linspace(0.8, 1.3, plain.subspace.rank)
    before, after = (
        reconstruct(stack, scene, WHOLE, LmmseConfig(rounds=0), context)
        for scene in (plain, replace(plain, bar_scale=scale))
    )
    np.testing.assert_allclose(np.sqrt(after.variance / before.variance).mean((1, 2)), scale, rtol=1e-5)
    assert np.array_equal(before.mean, after.mean)
    assert np.array_equal(before.determined, after.determined)


def test_a_run_takes_the_shipped_width_and_what_a_held_out_frame_tells(stack, plain, context, finished):
    config = PipelineConfig()
    width = shipped_widths().at(2, 4, snr_of(plain.subspace))
    told = tell(stack, plain, WHOLE, LmmseConfig(), context)
    assert told.ratio.shape == (plain.subspace.rank,)
    expected = width.of(plain.subspace.rank, told)
    np.testing.assert_array_equal(calibrated(stack, plain, config, context).bar_scale, expected)
    np.testing.assert_array_equal(finished.scene.bar_scale, expected)


def test_the_frames_tell_of_bars_that_are_too_narrow(stack, plain, context):
    """A prior of a quarter of the power promises too much."""
    bold = replace(plain, prior=replace(plain.prior, power=plain.prior.power / 4))
    fair, narrow = (tell(stack, scene, WHOLE, LmmseConfig(rounds=0), context) for scene in (plain, bold))
    assert narrow.ratio[0] > fair.ratio[0] + 2 * fair.stderr[0]


def test_one_frame_has_the_shipped_width_alone(stack, plain, context):
    alone = replace(plain, registration=Registration(plain.registration.frames[:1]), misfit=None)
    single = FrameStack(stack.frames[:1])
    scale = calibrated(single, alone, PipelineConfig(), context).bar_scale
    assert tell(single, alone, WHOLE, LmmseConfig(), context) is None
    assert np.array_equal(scale, shipped_widths().at(2, 1, snr_of(alone.subspace)).of(len(scale), None))


@pytest.mark.parametrize("off", ["uncertainty.calibrate=false", "uncertainty.method=none"])
def test_it_can_be_switched_off_even_for_a_scene_that_was_calibrated(stack, finished, context, off):
    config = PipelineConfig.build(sets=[off])
    assert calibrated(stack, finished.scene, config, context).bar_scale is None


def test_all_views_of_a_scene_share_one_calibration(stack, finished, context):
    again = calibrated(stack, finished.scene, PipelineConfig(), context, View(0, 20, 0, 20))
    assert again is finished.scene

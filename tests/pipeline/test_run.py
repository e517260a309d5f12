"""Jobs from end to end: what is told, what comes out, and how a job is stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import FrameWindow, invert
from hsimisr.metrics import evaluate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import choose_device
from hsimisr.pipeline.events import Cancelled, Failed, Finished, Preview, Progress
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.run import refine

SMALL = {"register": {"method": "gauss_newton"}, "invert": {"method": "lmmse", "rounds": 0}}


def test_progress_then_a_preview_then_more_progress_then_the_result(simulation, carry_out):
    listener = carry_out(simulation.frames)
    assert isinstance(listener.end, Finished)
    assert all(event.job == 7 for event in listener.events)
    kinds = [type(event) for event in listener.events]
    first_picture = kinds.index(Preview)
    assert Progress in kinds[:first_picture]
    assert Progress in kinds[first_picture:]
    stages = list(dict.fromkeys(event.stage for event in listener.of(Progress)))
    assert stages == ["scene", "register", "uncertainty", "invert"]
    assert all(0 <= event.step <= event.total for event in listener.of(Progress))


def test_a_preview_shows_the_view_of_the_result(simulation, carry_out):
    view = View(4, 20, 6, 26)
    listener = carry_out(simulation.frames, view=view)
    assert listener.of(Preview)[0].estimate.grid == listener.end.result.estimate.grid
    assert listener.end.result.estimate.grid.view == view


def test_the_result_is_better_than_the_baseline_and_says_how_good(simulation, finished):
    scores = evaluate(simulation.truth, finished.estimate.bands(), 2)
    baseline = evaluate(simulation.truth, finished.baseline.bands(), 2)
    assert scores.psnr > baseline.psnr + 2
    assert scores.sam < baseline.sam
    inner = (slice(None), slice(4, -4), slice(4, -4))
    z = ((finished.estimate.bands() - simulation.truth) / finished.estimate.std())[inner]
    # a standard deviation that means what it says, but for the 20 % that a fitted prior may be off
    assert np.sqrt(np.median(z**2) / 0.455) == pytest.approx(1, abs=0.5)


def test_the_same_job_gives_the_same_bits(simulation, carry_out, finished):
    again = carry_out(simulation.frames).end.result
    assert np.array_equal(again.estimate.mean, finished.estimate.mean)
    assert np.array_equal(again.estimate.variance, finished.estimate.variance)
    assert np.array_equal(again.scene.registration.shifts, finished.scene.registration.shifts)


def test_results_carry_their_settings(finished):
    assert finished.config == PipelineConfig()
    assert finished.diagnostics["frames_used"] == 4
    assert finished.diagnostics["device"] == "cpu"


def test_a_cancelled_job_ends_at_the_next_step_wherever_it_is(simulation, carry_out):
    steps = len(carry_out(simulation.frames, options=SMALL).of(Progress))
    for stop_at in range(1, steps):
        listener = carry_out(simulation.frames, stop_at=stop_at, options=SMALL)
        assert isinstance(listener.end, Cancelled)
        assert len(listener.of(Progress)) == stop_at


def test_a_cancelled_job_keeps_the_first_picture(simulation, carry_out):
    plain = carry_out(simulation.frames)
    before = plain.events.index(plain.of(Preview)[0])
    listener = carry_out(simulation.frames, stop_at=sum(isinstance(e, Progress) for e in plain.events[:before]) + 1)
    assert isinstance(listener.end, Cancelled)
    assert listener.end.estimate is listener.of(Preview)[0].estimate
    assert carry_out(simulation.frames, stop_at=1).end.estimate is None


def test_one_frame_gives_its_single_image_estimate(simulation, carry_out):
    """The same bits as the inversion of that frame under the same scene model, called by itself."""
    options = {"subspace": {"residual": False}}
    result = carry_out(simulation.frames[:1], options=options).end.result
    stack = FrameStack((Cube.from_array(simulation.frames[0]),))
    view = View(0, 32, 0, 32)
    window = read_window(stack, result.scene.subspace.bad, view, 0, result.scene.registration)
    eigen = FrameWindow(window.project(result.scene.subspace), window.masks, window.starts)
    mean, posterior = invert(eigen, result.scene, view, LmmseConfig(), torch.device("cpu"))
    assert np.array_equal(result.estimate.mean, mean)
    assert np.array_equal(result.estimate.variance, posterior.variance)
    assert np.array_equal(result.estimate.determined, posterior.determined)
    assert np.array_equal(result.scene.registration.shifts, np.zeros((1, 2)))


def test_a_view_is_the_crop_of_the_whole(simulation, carry_out, finished):
    """Under one scene model, within the error bar: the view's own canvas ends closer to it."""
    view = View(6, 24, 5, 27)
    result = carry_out(simulation.frames, view=view, registration=finished.scene.registration).end.result
    crop = (slice(None), slice(12, 48), slice(10, 54))
    apart = (result.estimate.bands() - finished.estimate.bands()[crop]) / finished.estimate.std()[crop]
    assert np.sqrt(np.mean(apart**2)) < 0.5
    assert np.percentile(np.abs(apart), 99) < 2


def test_a_view_is_clipped_to_the_frame_or_refused(simulation, carry_out):
    clipped = carry_out(simulation.frames, view=View(20, 90, 20, 90), options=SMALL).end.result
    assert clipped.estimate.grid.view == View(20, 32, 20, 32)
    refused = carry_out(simulation.frames, view=View(40, 50, 0, 10)).end
    assert isinstance(refused, Failed)
    assert "40:50,0:10" in refused.error


def test_large_stacks_are_sampled_around_the_view_and_the_model_is_provisional(simulation, carry_out):
    """Frames of 224 x 32: the cheap side stays narrow."""
    tall = np.concatenate([simulation.frames, simulation.frames[:, :, ::-1]] * 4, axis=2)[:, :, :224]
    view = carry_out(tall, view=View(100, 116, 4, 20), options=SMALL).end.result
    assert view.scene.provisional
    whole = carry_out(tall, options=SMALL).end.result
    assert not whole.scene.provisional
    assert whole.estimate.grid.shape == (448, 64)


@pytest.mark.parametrize("scale", [1, 3])
def test_other_scales(simulation, carry_out, scale):
    result = carry_out(simulation.frames, options={**SMALL, "scale": scale}).end.result
    assert result.estimate.mean.shape[1:] == (32 * scale, 32 * scale)
    assert np.isfinite(result.estimate.bands()).all()


@pytest.mark.parametrize("method", ["bicubic", "mean", "drizzle", "back_projection", "tv"])
def test_every_method_runs(simulation, carry_out, method):
    options = {"register": {"method": "gauss_newton"}, "invert": {"method": method}}
    result = carry_out(simulation.frames, options=options).end.result
    assert result.estimate.method == method
    assert result.estimate.variance is None
    assert evaluate(simulation.truth, result.estimate.bands(), 2).psnr > 20


def test_stages_can_be_switched_off(simulation, carry_out):
    options = {**SMALL, "uncertainty": {"method": "none"}, "subspace": {"residual": False, "rank": 3}}
    estimate = carry_out(simulation.frames, options=options).end.result.estimate
    assert estimate.variance is None
    assert estimate.residual is None
    assert estimate.subspace.rank == 3


def test_a_script_gets_the_result_and_errors_as_exceptions(stack, finished):
    result = refine(stack, PipelineConfig())
    assert np.array_equal(result.estimate.mean, finished.estimate.mean)
    with pytest.raises(ConfigError, match="outside the reference"):
        refine(stack, view=View(40, 50, 0, 10))


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="abacus"):
        choose_device("abacus")


@pytest.mark.parametrize("name", ["meta", "mps", "cuda:97"])
def test_a_device_that_no_job_can_run_on_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        choose_device(name)

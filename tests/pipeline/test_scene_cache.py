"""Which scene models are found again, and which frames or knobs need a new one."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource, FrameStack
from hsimisr.geometry import View, translation
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.run import refine
from hsimisr.pipeline.scene_cache import KEPT, SceneCache

VIEW = View(0, 10, 0, 10)
QUICK = {"register": {"method": "gauss_newton"}, "invert": {"method": "lmmse", "rounds": 0}}


@pytest.fixture
def cache(stack, finished):
    cache = SceneCache()
    cache.keep(stack, PipelineConfig(), finished.scene)
    return cache


def test_the_same_frames_and_knobs_find_their_model(cache, stack, finished):
    assert cache.find(stack, PipelineConfig(), None) is finished.scene
    assert cache.find(stack, PipelineConfig(), VIEW) is finished.scene


def test_a_provisional_model_serves_views_only(stack, finished):
    cache = SceneCache()
    provisional = replace(finished.scene, provisional=True)
    cache.keep(stack, PipelineConfig(), provisional)
    assert cache.find(stack, PipelineConfig(), VIEW) is provisional
    assert cache.find(stack, PipelineConfig(), None) is None


@pytest.mark.parametrize(
    "knob", ["scale=3", "psf=box", "noise=0.01", "subspace.rank=3", "register.method=none", "invert.prior=power_law"]
)
def test_knobs_of_the_model_need_a_new_one(cache, stack, knob):
    assert cache.find(stack, PipelineConfig.build(sets=[knob]), VIEW) is None


@pytest.mark.parametrize("knob", ["uncertainty.method=none", "invert.method=drizzle"])
def test_knobs_of_the_reconstruction_do_not(cache, stack, finished, knob):
    assert cache.find(stack, PipelineConfig.build(sets=[knob]), VIEW) is finished.scene


def test_a_model_serves_fewer_rounds_as_one_that_was_made_for_them_would(stack, cache, finished):
    fewer, more = (PipelineConfig.build(sets=[f"invert.rounds={n}"]) for n in (1, 3))
    found = cache.find(stack, fewer, VIEW)
    assert found.contrast_levels == finished.scene.contrast_levels[:1]
    assert found.bar_scale is None
    made = refine(stack, fewer).scene
    assert made.contrast_levels == pytest.approx(found.contrast_levels, rel=1e-6)
    for one, other in zip(made.registration.frames, found.registration.frames, strict=True):
        np.testing.assert_allclose(one.matrix, other.matrix, atol=1e-9)
    np.testing.assert_allclose(made.prior.power, found.prior.power, rtol=1e-6)
    assert cache.find(stack, more, VIEW) is None
    assert cache.find(stack, PipelineConfig(), VIEW) is finished.scene


def test_other_frames_need_a_new_model(cache, stack):
    config = PipelineConfig()
    assert cache.find(FrameStack(stack.frames[:3]), config, VIEW) is None
    assert cache.find(FrameStack(stack.frames, reference=1), config, VIEW) is None
    other = Cube.from_array(np.asarray(stack.frames[0].data) + 1)
    assert cache.find(FrameStack((other, *stack.frames[1:])), config, VIEW) is None


def test_bands_flagged_bad_need_a_new_model(cache, stack):
    bad = np.zeros(stack.bands, bool)
    bad[3] = True
    flagged = tuple(replace(frame, bad=bad) for frame in stack.frames)
    assert cache.find(FrameStack(flagged), PipelineConfig(), VIEW) is None


@pytest.mark.parametrize("role", ["known", "start"])
def test_other_motions_given_need_a_new_model(cache, stack, finished, role):
    """Equal ones find their model, whoever made them, but not what was made of them in the other role."""
    given = finished.scene.registration
    assert cache.find(stack, PipelineConfig(), None, **{role: given}) is None
    cache.keep(stack, PipelineConfig(), finished.scene, **{role: given})
    equal = Registration(given.frames, given.reference, given.method)
    assert cache.find(stack, PipelineConfig(), None, **{role: equal}) is finished.scene
    assert cache.find(stack, PipelineConfig(), None, **{"start" if role == "known" else "known": given}) is None
    moved = replace(given.frames[1], matrix=translation((0.01, 0)) @ given.frames[1].matrix)
    other = replace(given, frames=(given.frames[0], moved, *given.frames[2:]))
    assert cache.find(stack, PipelineConfig(), None, **{role: other}) is None


def test_a_file_written_again_needs_a_new_model(cache, stack, finished, tmp_path):
    path = tmp_path / "frame.npy"
    path.write_bytes(b"first")
    frames = (replace(stack.frames[0], source=CubeSource(str(path))), *stack.frames[1:])
    cache.keep(FrameStack(frames), PipelineConfig(), finished.scene)
    assert cache.find(FrameStack(frames), PipelineConfig(), VIEW) is finished.scene
    os.utime(path, (1, 1))
    assert cache.find(FrameStack(frames), PipelineConfig(), VIEW) is None


def test_data_written_again_under_an_old_header_need_a_new_model(cache, stack, finished, tmp_path):
    header, data = tmp_path / "frame.hdr", tmp_path / "frame.img"
    header.write_text("ENVI")
    data.write_bytes(b"first")
    frames = FrameStack((replace(stack.frames[0], source=CubeSource(str(header))), *stack.frames[1:]))
    cache.keep(frames, PipelineConfig(), finished.scene)
    assert cache.find(frames, PipelineConfig(), VIEW) is finished.scene
    data.write_bytes(b"second")
    assert cache.find(frames, PipelineConfig(), VIEW) is None


def test_only_the_latest_are_kept(cache, stack, finished):
    for scale in range(3, 3 + KEPT):
        cache.keep(stack, PipelineConfig(scale=scale), finished.scene)
    assert cache.find(stack, PipelineConfig(), VIEW) is None
    assert cache.find(stack, PipelineConfig(scale=3), VIEW) is finished.scene


def test_a_kept_model_is_used(simulation, carry_out, finished):
    cache = SceneCache()
    first = carry_out(simulation.frames, cache=cache)
    again = carry_out(simulation.frames, cache=cache)
    assert again.end.result.scene is first.end.result.scene
    assert np.array_equal(again.end.result.estimate.mean, finished.estimate.mean)
    stages = {type(e).__name__: e for e in again.events}
    assert "scene" not in {e.stage for e in again.events if hasattr(e, "stage")}
    assert "Finished" in stages


def test_a_model_of_other_motions_is_not_used(simulation, carry_out):
    """A run that begins elsewhere estimates anew, and finds its own model the next time."""
    cache = SceneCache()
    plain = carry_out(simulation.frames, cache=cache, options=QUICK).end.result.scene
    start = simulation.registration
    begun, again = (carry_out(simulation.frames, cache=cache, options=QUICK, start=start).end.result for _ in range(2))
    assert begun.scene is not plain
    assert again.scene is begun.scene
    known = carry_out(simulation.frames, cache=cache, options=QUICK, registration=start).end.result.scene
    assert known.registration is start
    assert carry_out(simulation.frames, cache=cache, options=QUICK).end.result.scene is plain

"""The learned stage in a run: never without the gate's consent, adapted, told, stopped, and on disk."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch

from hsimisr.cube import FrameStack
from hsimisr.errors import ConfigError, ReadError
from hsimisr.geometry import View
from hsimisr.networks.refiner import Refiner, RefinerShape
from hsimisr.networks.weights import SINGLE_FRAME, load_refiner, save_network
from hsimisr.pipeline import tiled
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.events import Cancelled, HeldOut, Preview, Progress
from hsimisr.pipeline.run import refine
from hsimisr.pipeline.scene_cache import SceneCache
from hsimisr.pipeline.tile_store import open_store
from hsimisr.pipeline.tiled import refine_tiled
from hsimisr.pipeline.tiles import SMALLEST

TTT = {"method": "ttt", "steps": 6, "lessons": 1}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small refiner that nobody has trained, and that changes what it is given."""
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    torch.manual_seed(0)
    refiner = Refiner(RefinerShape(width=8, blocks=1, stages=1, evidence=8, groups=2))
    torch.nn.init.normal_(refiner.residual_head.weight, std=0.1)
    save_network(refiner, path, {})
    return path


@pytest.fixture(scope="module")
def cache():
    return SceneCache()


@pytest.fixture
def refined(stack, weights, cache):
    """Refine with knobs of the two learned stages."""

    def run(adapt=None, frames=None, **knobs):
        stage = {"method": "refiner", "weights": str(weights), **knobs}
        config = PipelineConfig.build(options={"refine": stage, "adapt": adapt})
        return refine(frames or stack, config, cache=cache)

    return run


def test_a_network_that_knows_nothing_is_not_let_in(refined, finished):
    result = refined()
    np.testing.assert_allclose(result.estimate.mean, finished.estimate.mean, atol=1e-4)
    np.testing.assert_allclose(result.estimate.variance, finished.estimate.variance, rtol=1e-4)
    assert not result.estimate.learned.any()
    (gate,) = result.diagnostics["learned"]["refine"]
    assert gate["gate_weight"] == 0
    assert "no clear gain" in gate["reason"]


def test_without_the_gate_it_is(refined, finished):
    result = refined(gate=False)
    assert (result.estimate.learned == 1).all()
    assert result.estimate.method == "refiner"
    assert not np.allclose(result.estimate.mean, finished.estimate.mean, atol=0.1)


def test_one_frame_cannot_be_judged(stack, refined):
    result = refined(frames=FrameStack(stack.frames[:1]))
    assert not result.estimate.learned.any()
    assert "could be held out" in result.diagnostics["learned"]["refine"][0]["reason"]


def test_one_frame_is_refined_as_far_as_validation_elsewhere_supports(stack, refined, weights, tmp_path):
    support = {"weight": 0.5, "gain_db": 0.31, "worst_db": -0.01, "situations": 16}
    examined = tmp_path / "examined.safetensors"
    save_network(load_refiner(weights), examined, {SINGLE_FRAME: support})
    one = FrameStack(stack.frames[:1])
    half, linear, full = (
        refined(frames=one, weights=str(path), gate=gate)
        for path, gate in ((examined, True), (weights, True), (weights, False))
    )
    assert (half.estimate.learned == 0.5).all()
    between = (linear.estimate.mean + full.estimate.mean) / 2
    np.testing.assert_allclose(half.estimate.mean, between, atol=1e-3)
    assert "16 single frames" in half.diagnostics["learned"]["refine"][0]["reason"]


def test_what_is_told_fits_into_json(refined):
    text = json.dumps(refined(TTT).diagnostics, allow_nan=False)
    assert json.loads(text)["learned"]["adapt"]["held_out_misfit"][0] > 0


def test_an_adaptation_tells_how_frames_it_has_not_seen_are_predicted(simulation, weights, carry_out):
    stage = {"method": "refiner", "weights": str(weights)}
    listener = carry_out(simulation.frames, options={"refine": stage, "adapt": TTT})
    looks = listener.of(HeldOut)
    assert [look.step for look in looks] == [0, 5, 6]
    told = listener.end.result.diagnostics["learned"]["adapt"]
    assert told["held_out_misfit"] == [looks[0].misfit, min(look.misfit for look in looks)]


def test_the_same_seed_gives_the_same_cube(refined):
    first, second = (refined(TTT, gate=False).estimate for _ in range(2))
    assert np.array_equal(first.mean, second.mean)


def test_a_cancelled_adaptation_leaves_the_best_so_far(simulation, weights, carry_out, monkeypatch):
    monkeypatch.setattr("hsimisr.pipeline.learned.PREVIEW_S", 0.0)
    config = {"refine": {"method": "refiner", "weights": str(weights), "gate": False}, "adapt": TTT}
    stop_in_adaptation = _steps_until_adaptation(simulation, config, carry_out) + 3
    listener = carry_out(simulation.frames, stop_at=stop_in_adaptation, options=config)
    assert isinstance(listener.end, Cancelled)
    assert listener.of(Preview)[-1].stage == "adapt"
    assert listener.end.estimate is listener.of(Preview)[-1].estimate


def _steps_until_adaptation(simulation, config, carry_out):
    told = carry_out(simulation.frames, options=config).of(Progress)
    return next(n for n, event in enumerate(told) if event.stage == "adapt")


def test_only_the_lmmse_can_be_refined(stack, weights):
    config = PipelineConfig.build(sets=["invert.method=tv", f"refine={{method: refiner, weights: {weights}}}"])
    with pytest.raises(ConfigError, match=r"learned stages.* need invert\.method=lmmse"):
        refine(stack, config)


def test_weights_that_are_none(stack, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"no weights")
    config = PipelineConfig.build(sets=[f"refine={{method: refiner, weights: {path}}}"])
    with pytest.raises(ReadError, match=r"w\.safetensors"):
        refine(stack, config)


def test_tiles_on_disk_carry_what_was_learned(stack, finished, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(tiled, "tile_side", lambda *_: SMALLEST)
    view = View(1, 32, 0, 30)
    store, _ = open_store(tmp_path / "a.zarr", view, {})
    store.keep_scene(finished.scene)
    stage = {"method": "refiner", "weights": str(weights), "gate": False}
    context = Context(0, torch.device("cpu"), 0, lambda _: None, threading.Event())
    result = refine_tiled(stack, PipelineConfig.build(options={"refine": stage}), store, context)
    part = result.part(View(5, 20, 3, 30), slice(None))
    np.testing.assert_allclose(part.learned, 1, rtol=1e-5)

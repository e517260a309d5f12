"""The diffusion in a run: two products that are never confused, judged or not, stopped, and the same again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hsimisr.cube import FrameStack
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.networks.weights import save_network
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Cancelled, Preview, Progress
from hsimisr.pipeline.run import refine
from hsimisr.pipeline.scene_cache import SceneCache


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small denoiser that nobody has trained, and that changes what it is given."""
    path = tmp_path_factory.mktemp("weights") / "noise.safetensors"
    torch.manual_seed(0)
    denoiser = Denoiser(DenoiserShape(width=8, heads=2, layers=1, evidence=4, groups=2))
    torch.nn.init.normal_(denoiser.head.weight, std=0.2)
    save_network(denoiser, path, {})
    return path


@pytest.fixture(scope="module")
def cache():
    return SceneCache()


@pytest.fixture
def diffused(stack, cache):
    """Refine with a diffusion of a few steps."""

    def run(frames=None, **knobs):
        stage = {"method": "proximal", "steps": 2, "weights": "untrained", **knobs}
        stage = {name: value for name, value in stage.items() if value is not None}
        return refine(frames or stack, PipelineConfig.build(options={"diffuse": stage}), cache=cache)

    return run


def test_without_a_network_the_mean_is_the_linear_estimate(diffused, finished):
    result = diffused(gate=False)
    assert result.estimate.method == "proximal mean"
    np.testing.assert_allclose(result.estimate.mean, finished.estimate.mean, atol=1e-3)
    np.testing.assert_allclose(result.estimate.variance, finished.estimate.variance, rtol=1e-3)


def test_a_sample_has_the_texture_and_the_error_of_one(diffused, finished, simulation):
    """To the error of the mean comes its own, of which the posterior variance tells."""
    result = diffused(product="sample")
    assert result.estimate.method == "proximal sample"
    ratio = result.estimate.variance[0] / finished.estimate.variance[0]
    np.testing.assert_allclose(ratio, 2, rtol=0.05)
    truth = result.scene.subspace.project(simulation.truth)
    inner = (0, slice(8, -8), slice(8, -8))
    errors = [np.square(x.mean - truth)[inner].mean() for x in (result.estimate, finished.estimate)]
    own = finished.estimate.variance[inner].mean()
    assert errors[0] - errors[1] == pytest.approx(own, rel=0.2)
    (told,) = result.diagnostics["learned"]["diffuse"]
    assert "not for measurement" in told["reason"]


def test_a_network_that_knows_nothing_is_not_let_in(diffused, finished, weights):
    result = diffused(weights=str(weights))
    np.testing.assert_allclose(result.estimate.mean, finished.estimate.mean, atol=1e-3)
    (told,) = result.diagnostics["learned"]["diffuse"]
    assert told["gate_weight"] == 0
    assert told["held_out"]["after"]["raw"] >= told["held_out"]["before"]["raw"]
    json.dumps(result.diagnostics, allow_nan=False)


def test_without_the_gate_it_is(diffused, finished, weights):
    result = diffused(weights=str(weights), gate=False)
    assert not np.allclose(result.estimate.mean[0], finished.estimate.mean[0], atol=0.1)
    assert (result.estimate.determined <= finished.estimate.determined + 1e-6).all()


def test_eigen_images_behind_the_leading_ones_stay(diffused, finished):
    found, before = diffused(product="sample").estimate.mean, finished.estimate.mean
    assert len(before) > 4
    np.testing.assert_array_equal(found[4:], before[4:])
    assert not np.allclose(found[:4], before[:4], atol=0.1)


def test_the_same_seed_gives_the_same_sample(diffused):
    first, second = (diffused(product="sample").estimate.mean for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("method", ["proximal", "ddim"])
def test_samples_of_two_views_show_one_scene(stack, cache, finished, method):
    """Where they overlap they differ by what the borders change, not as two scenes would."""
    stage = {"method": method, "steps": 2, "product": "sample", "weights": "untrained"}
    config = PipelineConfig.build(options={"diffuse": stage})
    left, right = (
        refine(stack, config, view=View(0, 32, *columns), cache=cache).estimate.mean for columns in ((0, 22), (8, 32))
    )
    shared = slice(4, 24)  # HR columns of the right one, less those at either border
    apart = (left[:, :, 16:][:, :, shared] - right[:, :, shared])[0]
    bar = np.sqrt(finished.estimate.variance[0].mean())
    assert apart.std() < 0.4 * bar  # two scenes: 1.4


def test_no_step_switches_it_off(diffused, finished):
    result = diffused(steps=0)
    assert result.estimate.method == "lmmse"
    assert "learned" not in result.diagnostics
    np.testing.assert_allclose(result.estimate.mean, finished.estimate.mean, atol=1e-4)


def test_one_frame_cannot_judge(stack, diffused):
    result = diffused(frames=FrameStack(stack.frames[:1]))
    assert "could be held out" in result.diagnostics["learned"]["diffuse"][0]["reason"]
    assert not result.estimate.learned.any()


def test_regression_needs_no_sample(diffused, finished, weights):
    result = diffused(method="regression", gate=False, steps=None, weights=str(weights))
    assert result.estimate.method == "regression mean"
    assert not np.allclose(result.estimate.mean[0], finished.estimate.mean[0], atol=0.1)


def test_a_student_needs_one_step_and_only_its_own_method_takes_it(diffused, finished, tmp_path):
    torch.manual_seed(0)
    student = Denoiser(DenoiserShape(role="student", width=8, heads=2, layers=1, evidence=4, groups=2))
    torch.nn.init.normal_(student.head.weight, std=0.2)
    path = tmp_path / "student.safetensors"
    save_network(student, path, {})
    result = diffused(method="consistency", steps=1, gate=False, weights=str(path))
    assert result.estimate.method == "consistency mean"
    assert not np.allclose(result.estimate.mean[0], finished.estimate.mean[0], atol=0.1)
    with pytest.raises(ConfigError, match=r"holds a student; use it with diffuse\.method=consistency"):
        diffused(weights=str(path))


def test_a_denoiser_is_no_student(diffused, weights):
    with pytest.raises(ConfigError, match="holds a denoiser"):
        diffused(method="consistency", steps=1, weights=str(weights))


def test_it_follows_the_refiner(stack, cache):
    stages = {"refine": {"method": "refiner"}, "diffuse": {"method": "ddim", "steps": 1, "weights": "untrained"}}
    result = refine(stack, PipelineConfig.build(options=stages), cache=cache)
    assert result.estimate.method == "ddim mean"
    assert list(result.diagnostics["learned"]) == ["refine", "diffuse"]


def test_every_step_can_be_seen(simulation, carry_out, monkeypatch):
    monkeypatch.setattr("hsimisr.pipeline.reconstruct.PREVIEW_S", 0.0)
    options = {"diffuse": {"method": "proximal", "steps": 2, "weights": "untrained", "product": "sample"}}
    shown = [event for event in carry_out(simulation.frames, options=options).of(Preview) if event.stage == "refine"]
    assert len(shown) == 2
    assert shown[0].estimate.mean.shape == shown[1].estimate.mean.shape
    assert not np.array_equal(shown[0].estimate.mean[0], shown[1].estimate.mean[0])


def test_it_can_be_stopped(simulation, carry_out):
    options = {"diffuse": {"method": "proximal", "steps": 2, "weights": "untrained", "gate": False}}
    told = [event.stage for event in carry_out(simulation.frames, options=options).of(Progress)]
    listener = carry_out(simulation.frames, stop_at=told.index("refine") + 1, options=options)
    assert isinstance(listener.end, Cancelled)
    assert listener.end.estimate is not None

"""A sample is the situation that the pipeline meets, and its truth lies where the estimate does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.training.augment import augmented, with_eigen_images
from hsimisr.training.draw import Look, draw_look
from hsimisr.training.real_scenes import matching
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import Sample, make_sample, misregistered, observed

LOOK = Look("town", 2, 8, 60.0, "box", "box", "shift", 1.5, 0.0, 0.0, False, 32)


@pytest.fixture(scope="module")
def simulation():
    scene = town((76, 76), bands=20, seed=1).cube
    return simulate(scene, LOOK.scale, LOOK.frames, LOOK.psf, LOOK.snr, max_shift=LOOK.max_shift, seed=2)


@pytest.fixture(scope="module")
def sample(simulation):
    return observed(simulation, simulation.registration, LOOK, Recipe().situations)


def relative(image, truth):
    """Error relative to the truth's contrast, without a border of 2 LR pixels."""
    inner = (slice(None), slice(4, -4), slice(4, -4))
    error, contrast = image[inner] - truth[inner], truth[inner] - truth[inner].mean((1, 2), keepdim=True)
    return float(error.square().sum() / contrast.square().sum())


def moved(image, axis, by):
    """The image, its content moved by a fraction of an HR pixel."""
    frequency = torch.fft.fftfreq(image.shape[axis]).reshape([-1 if n == axis else 1 for n in range(3)])
    return torch.fft.ifft(torch.fft.fft(image, dim=axis) * torch.exp(-2j * torch.pi * by * frequency), dim=axis).real


def test_with_more_frames_than_unknowns_the_estimate_lies_on_the_truth(sample):
    image = sample.situation.image[sample.view]
    assert image.shape == sample.truth.shape
    aligned = relative(image, sample.truth)
    assert aligned < 0.01
    for axis in (1, 2):
        for move in (-0.25, 0.25):
            assert relative(moved(image, axis, move), sample.truth) > aligned


def test_the_estimate_is_the_one_that_the_pipeline_makes(simulation, sample):
    stack = FrameStack(tuple(Cube.from_array(f, name=f"frame {k}") for k, f in enumerate(simulation.frames)))
    recipe = Recipe().situations
    rough = LmmseConfig(iterations=recipe.iterations, tolerance=recipe.tolerance)
    config = PipelineConfig(scale=2, psf="box", invert=rough)
    scene = estimate_scene(stack, config, quiet_context("cpu"), known=simulation.registration)
    view = View.whole(stack.reference_frame.shape_yx)
    estimate = reconstruct(stack, scene, view, LmmseConfig(), quiet_context("cpu"))
    np.testing.assert_allclose(sample.situation.image[sample.view].numpy(), estimate.mean, atol=1e-3)
    np.testing.assert_array_equal(sample.truth.numpy(), scene.subspace.project(simulation.truth))


def test_a_sample_derives_from_the_seed_and_its_number_alone(tiny, cubes):
    files = matching(cubes, ["town-*"])
    first, other, again = (make_sample(tiny(), files, 0, n) for n in (0, 1, 0))
    assert first.look == again.look != other.look
    torch.testing.assert_close(first.situation.image, again.situation.image, rtol=0, atol=0)
    torch.testing.assert_close(first.truth, again.truth, rtol=0, atol=0)
    assert make_sample(tiny(), files, 1, 0).look != first.look  # another stream
    assert make_sample(tiny().model_copy(update={"seed": 1}), files, 0, 0).look != first.look


def test_a_sample_survives_the_way_between_processes(sample):
    back = Sample.unpacked(sample.packed(), torch.device("cpu"))
    assert back.look == sample.look
    strength = torch.zeros(len(sample.truth))
    steps = [s.situation.consistency.step(s.situation.image, strength) for s in (sample, back)]
    torch.testing.assert_close(*steps, rtol=0, atol=0)


def test_real_and_drawn_scenes_come_in_the_share_of_the_recipe(tiny, cubes):
    files = matching(cubes, ["town-*"])
    looks = [draw_look(tiny(), files, 0.0, np.random.default_rng(n))[0] for n in range(60)]
    real = sum(look.scene in ("town-a", "town-b") for look in looks)
    assert 18 <= real <= 42  # 30 expected, three standard deviations
    assert {look.scene for look in looks} == {"town-a", "town-b", "drawn"}
    assert all(draw_look(tiny(), (), 0.0, np.random.default_rng(n))[0].scene == "drawn" for n in range(5))


@pytest.mark.parametrize("motion", ["shift", "affine"])
@pytest.mark.parametrize("psf", ["box", "mtf:0.1", "gauss:1.6"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_scene_of_the_look_s_side_leaves_frames_of_its_patch(scale, psf, motion):
    look = Look("drawn", scale, 1, 30.0, psf, psf, motion, 1.3, 0.0, 0.0, False, 20)
    frames = simulate(np.ones((1, look.side, look.side)), scale, 1, psf, motion=motion, max_shift=1.3).frames
    assert frames.shape[2:] in ((20, 20), (21, 21))  # the margins of turned frames depend on the scene's size


def test_patches_grow_over_a_run(tiny):
    recipe = tiny(situations={"patches": [16, 20, 24]})
    sides = [draw_look(recipe, (), p, np.random.default_rng(0))[0].patch for p in (0.0, 0.32, 0.34, 0.99, 1.0)]
    assert sides == [16, 16, 20, 24, 24]


def test_the_registration_is_as_wrong_as_its_error_bars_say(simulation):
    rng = np.random.default_rng(0)
    true = simulation.registration
    errors, bars = [], []
    for _ in range(40):
        known = misregistered(true, 0.05, rng)
        assert np.array_equal(known.frames[0].matrix, true.frames[0].matrix)
        assert not known.frames[0].covariance.any()
        errors.append((known.shifts - true.shifts)[1:])
        bars.append([np.trace(frame.covariance) / 2 for frame in known.frames[1:]])
    assert np.std(errors) == pytest.approx(0.05, rel=0.1)
    assert np.sqrt(np.mean(bars)) == pytest.approx(0.05, rel=0.1)


def test_eigen_images_do_not_depend_on_one_another(sample):
    fewer = with_eigen_images(sample.situation, 2)
    strength = torch.full((len(sample.truth),), 1.0)
    pulled = sample.situation.consistency.step(sample.situation.image * 0.9, strength)
    pulled_fewer = fewer.consistency.step(fewer.image * 0.9, strength[:2])
    torch.testing.assert_close(pulled_fewer, pulled[:2], rtol=1e-5, atol=1e-4)


def test_augmented_samples_keep_leading_eigen_images(sample):
    ranks = set()
    for seed in range(30):
        variant = augmented(sample, np.random.default_rng(seed))
        rank = len(variant.truth)
        ranks.add(rank)
        assert variant.situation.image.shape[0] == variant.situation.observations.data.shape[1] == rank
        torch.testing.assert_close(variant.truth, sample.truth[:rank], rtol=0, atol=0)
        torch.testing.assert_close(variant.situation.image, sample.situation.image[:rank], rtol=0, atol=0)
    assert max(ranks) == len(sample.truth)
    assert len(ranks) > 1

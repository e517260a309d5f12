"""Image and motions of a stack refined together: better than pairs, for every kind of motion, and only what is used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.errors import Cancelled
from hsimisr.geometry import View
from hsimisr.inversion.invert import observe
from hsimisr.physics.types import Registration
from hsimisr.registration.bounds import unknown_scene_bound
from hsimisr.registration.config import GaussNewtonConfig, JointConfig
from hsimisr.registration.refine import _next_model, _refined, refine_jointly, strongest
from hsimisr.registration.register import register_pairs, richer_models


def refined(given, start, config=None, view=None, **more):
    view = view or View.whole(given.frames[0].shape[1:])
    window, scene = strongest(given.window, given.scene(start))
    return refine_jointly(window, scene, view, config or JointConfig(), given.device, **more)


def paired(given, **config):
    return register_pairs(given.window, config.pop("reference", 0), GaussNewtonConfig(**config)).registration


def rms(errors):
    return np.sqrt((errors**2).mean())


@pytest.mark.parametrize(("kind", "model"), [("eigen_frames", "translation"), ("turned_frames", "affine")])
def test_image_and_motions_together_beat_pairs(kind, model, request):
    given = request.getfixturevalue(kind)
    pairs = paired(given)
    joint = refined(given, pairs)
    assert joint.method == "joint"
    assert {motion.model for motion in joint.frames[1:]} == {model}
    assert rms(given.position_errors(joint)) < 0.6 * rms(given.position_errors(pairs))
    assert np.array_equal(joint.frames[0].matrix, np.eye(3))
    assert not joint.frames[0].covariance.any()


def test_local_motion_is_refined_too(bent_frames):
    pairs = paired(bent_frames)
    joint = refined(bent_frames, pairs, JointConfig(steps=3))
    assert {motion.model for motion in joint.frames[1:]} == {"local"}
    assert rms(bent_frames.position_errors(joint)) < 0.6 * rms(bent_frames.position_errors(pairs))
    assert joint.frames[0].field is None


def test_a_richer_model_is_found_where_pairs_were_held_to_a_poorer(turned_frames):
    """Shifts leave a quarter of a pixel; the refinement sees that they are not enough, unless told not to look."""
    shifts = paired(turned_frames, model="translation")
    assert turned_frames.position_errors(shifts).min() > 0.1
    found = refined(turned_frames, shifts, JointConfig(steps=4))
    assert {motion.model for motion in found.frames[1:]} == {"affine"}
    assert turned_frames.position_errors(found).max() < 0.03
    held = refined(turned_frames, shifts, JointConfig(steps=1, model="translation"))
    assert held.is_shift


@pytest.mark.parametrize("kind", ["eigen_frames", "turned_frames", "bent_frames"])
def test_models_judged_together_are_judged_as_each_alone(kind, request):
    """Each against the image as the first refinement leaves it; the first that is worth it wins."""
    given = request.getfixturevalue(kind)
    view, config = View.whole(given.frames[0].shape[1:]), JointConfig(steps=2)
    window, scene = strongest(given.window, given.scene(paired(given, model="translation")))
    bound = unknown_scene_bound(scene, view.shape)
    found, scene = _refined(window, scene, view, "translation", config, bound, given.device, None)
    richer = richer_models("translation", "auto")
    alone = [model for model in richer if _next_model([model], found, scene) is not None]
    assert _next_model(richer, found, scene) == (alone[0] if alone else None)
    assert bool(alone) == (kind != "eigen_frames")
    assert _next_model([], found, scene) is None


def test_the_error_bars_cover_the_errors(eigen_frames):
    """d' C^-1 d over eight coordinates has mean 8 and variance 16; five deviations above, none below zero."""
    joint = refined(eigen_frames, paired(eigen_frames))
    apart = joint.shifts - eigen_frames.simulation.motions[:, :2, 2]
    chi2 = sum(d @ np.linalg.solve(m.covariance, d) for d, m in list(zip(apart, joint.frames, strict=True))[1:])
    assert chi2 < 8 + 5 * 4


def test_the_order_of_the_frames_does_not_matter(eigen_frames):
    order = [0, 3, 1, 4, 2]
    pairs = paired(eigen_frames)
    plain = refined(eigen_frames, pairs).shifts
    shuffled = replace(eigen_frames, frames=[eigen_frames.frames[k] for k in order])
    other = refined(shuffled, Registration(tuple(pairs.frames[k] for k in order))).shifts
    # sums over frames are rounded in another order, and the iteration ends at steps of 2e-4 LR pixels
    assert other == pytest.approx(plain[order], abs=2e-4)


def test_the_reference_does_not_move_whichever_it_is(eigen_frames):
    joint = refined(eigen_frames, paired(eigen_frames, reference=2), JointConfig(steps=2))
    assert joint.reference == 2
    assert np.array_equal(joint.frames[2].matrix, np.eye(3))
    assert all(joint.frames[k].covariance.any() for k in (0, 1, 3, 4))


def test_what_is_left_out_stays_out_as_it_was(eigen_frames):
    pairs = paired(eigen_frames)
    left_out = replace(pairs.frames[3], excluded=True, weight=0.0, reason="by hand")
    start = replace(pairs, frames=(*pairs.frames[:3], left_out, pairs.frames[4]))
    joint = refined(eigen_frames, start)
    assert joint.included == (0, 1, 2, 4)
    assert joint.frames[3] is left_out
    assert eigen_frames.errors(joint)[[0, 1, 3]].max() < 0.005


def test_gain_and_reason_are_kept(eigen_frames):
    pairs = paired(eigen_frames)
    marked = replace(pairs.frames[1], gain=1.001, weight=0.9, reason="hazy")
    joint = refined(eigen_frames, replace(pairs, frames=(pairs.frames[0], marked, *pairs.frames[2:])))
    assert (joint.frames[1].gain, joint.frames[1].weight, joint.frames[1].reason) == (1.001, 0.9, "hazy")


def test_a_part_of_the_reference_gives_no_local_field(bent_frames):
    pairs = paired(bent_frames, model="affine")
    part = refined(bent_frames, pairs, JointConfig(steps=1), View(4, 36, 6, 38), whole=False)
    assert "local" not in {motion.model for motion in part.frames}
    assert all(motion.field is None for motion in part.frames)


def test_one_frame_has_nothing_to_refine(eigen_frames):
    one = replace(eigen_frames, frames=eigen_frames.frames[:1], masks=eigen_frames.masks[:1])
    pairs = register_pairs(one.window, 0, GaussNewtonConfig()).registration
    assert refined(one, pairs) is pairs


def test_a_caller_can_stop_it(eigen_frames):
    seen = []

    def stop_at(step):
        seen.append(step)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        refined(eigen_frames, paired(eigen_frames), on_step=stop_at)
    assert seen == [0, 1]


def test_error_bars_of_motions_that_vary_over_the_frame_are_of_the_size_of_the_errors(make_eigen_frames):
    """The motion that seven frames have in common rests on the reference alone: known badly, but not a thousand pixels.

    The rms of seven frames' errors is that of a few independent parameters: within a factor of three of its error bar.
    """
    given = make_eigen_frames("affine", 104, 8)
    joint = refined(given, given.simulation.registration, JointConfig(steps=1, model="affine"))
    claimed = np.sqrt([np.trace(motion.covariance) / 2 for motion in joint.frames[1:]])
    assert 1 / 3 < rms(given.position_errors(joint)) / rms(claimed) < 3


def test_the_strongest_eigen_images_are_seen_alike(eigen_frames):
    """Offsets and noise of the few are those that the whole scene has for them."""
    start = paired(eigen_frames)
    gained = replace(start.frames[1], gain=1.1, offset=np.linspace(-1, 1, 16))
    scene = eigen_frames.scene(replace(start, frames=(start.frames[0], gained, *start.frames[2:])))
    scene = replace(scene, misfit=1 + np.arange(40.0).reshape(5, 8))
    view = View.whole(eigen_frames.frames[0].shape[1:])
    every = observe(eigen_frames.window, scene, view, eigen_frames.device)
    few = observe(*strongest(eigen_frames.window, scene), view, eigen_frames.device)
    assert few.data.numpy() == pytest.approx(every.data[:, :3].numpy(), rel=1e-6)
    assert np.array_equal(few.variance, every.variance[:, :3])
    assert np.array_equal(few.weight, every.weight)

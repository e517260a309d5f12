"""Registration of a stack, by the simplest motion that explains it, from any start, with frames that do not belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.errors import Cancelled, ConfigError
from hsimisr.geometry import translation
from hsimisr.inversion.invert import FrameWindow
from hsimisr.io.open import open_cube
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.simulator import simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.config import GaussNewtonConfig
from hsimisr.registration.register import identity, register_pairs, richer_models

PSF = "mtf:0.29"
AUTO = GaussNewtonConfig()
ALIASING = 0.03
"""What aliasing may leave of a shift, LR pixels: the joint refinement asks for a start within a tenth."""


def window_of(frames, masks=None, starts=None):
    masks = [np.ones(frame.shape[1:], bool) for frame in frames] if masks is None else masks
    return FrameWindow(list(frames), masks, starts or [(0, 0)] * len(frames))


def registered(given, reference=0, config=AUTO, **more):
    return register_pairs(given.window, reference, config, **more).registration


def shuffled(frame):
    """A frame of the same values in another order: another scene."""
    flat = frame.reshape(len(frame), -1)
    return np.random.default_rng(0).permuted(flat, axis=1).reshape(frame.shape)


def models(registration):
    return {motion.model for k, motion in enumerate(registration.frames) if k != registration.reference}


def test_frames_that_are_aligned_already():
    registration = identity(3, 1)
    assert registration.reference == 1
    assert all(np.array_equal(motion.matrix, np.eye(3)) for motion in registration.frames)


def test_models_are_tried_from_simple_to_rich():
    assert richer_models("translation", "auto") == ["affine", "homography", "local"]
    assert richer_models("translation", "affine") == ["affine"]
    assert richer_models("affine", "local") == ["homography", "local"]
    assert richer_models("local", "auto") == richer_models("homography", "affine") == []


def test_shifts_are_found_and_nothing_more(eigen_frames):
    found = registered(eigen_frames)
    assert models(found) == {"translation"}
    assert eigen_frames.position_errors(found).max() < ALIASING


def test_turns_and_stretches_are_found(turned_frames):
    found = registered(turned_frames)
    assert models(found) == {"affine"}
    assert turned_frames.position_errors(found).max() < ALIASING


def test_local_motion_is_found(bent_frames):
    """To what the joint refinement asks of its start, from shifts that are off by half a pixel."""
    found = registered(bent_frames)
    assert models(found) == {"local"}
    assert bent_frames.position_errors(found).max() < 0.1
    shifts = registered(bent_frames, config=GaussNewtonConfig(model="translation"))
    assert bent_frames.position_errors(shifts).min() > 0.3


def test_a_model_that_is_set_is_obeyed(eigen_frames, turned_frames):
    richer = registered(eigen_frames, config=GaussNewtonConfig(model="affine"))
    assert models(richer) == {"affine"}
    assert eigen_frames.position_errors(richer).max() < ALIASING
    poorer = registered(turned_frames, config=GaussNewtonConfig(model="translation"))
    assert models(poorer) == {"translation"}
    assert poorer.is_shift


def test_a_local_field_needs_the_whole_reference(bent_frames):
    with pytest.raises(ConfigError, match=r"register\.model=local needs the whole reference"):
        registered(bent_frames, config=GaussNewtonConfig(model="local"), whole=False)
    assert "local" not in models(registered(bent_frames, whole=False))


def test_the_reference_does_not_move(eigen_frames):
    found = registered(eigen_frames, 2)
    assert found.reference == 2
    assert np.array_equal(found.frames[2].matrix, np.eye(3))
    assert not found.frames[2].covariance.any()


def test_another_reference_moves_all_shifts_along(eigen_frames):
    first, third = (registered(eigen_frames, k) for k in (0, 2))
    assert third.shifts == pytest.approx(first.shifts - first.shifts[2], abs=2 * ALIASING)


def test_the_order_of_the_frames_does_not_matter(eigen_frames):
    order = [0, 3, 1, 4, 2]
    other = register_pairs(window_of([eigen_frames.frames[k] for k in order]), 0, AUTO).registration
    assert np.array_equal(other.shifts, registered(eigen_frames).shifts[order])


@pytest.mark.parametrize("kind", ["eigen_frames", "turned_frames"])
def test_motions_are_those_of_whole_frames_wherever_the_windows_begin(kind, request):
    given = request.getfixturevalue(kind)
    starts = [(3, 2), (5, 0), (1, 4), (4, 4), (0, 3)][: len(given.frames)]
    frames = [frame[:, y:, x:] for frame, (y, x) in zip(given.frames, starts, strict=True)]
    found = register_pairs(window_of(frames, starts=starts), 0, AUTO).registration
    assert given.position_errors(found).max() < 1.5 * ALIASING  # as many pixels less to go by


def test_a_richer_start_is_kept_where_only_shifts_are_wanted(turned_frames):
    """From the truth, which is what the whole frames show, nothing is left to find but by the aliasing."""
    starts = [(3, 2), (5, 0), (1, 4), (4, 4)]
    frames = [frame[:, y:, x:] for frame, (y, x) in zip(turned_frames.frames, starts, strict=True)]
    truth = turned_frames.simulation.registration
    shifts = GaussNewtonConfig(model="translation")
    found = register_pairs(window_of(frames, starts=starts), 0, shifts, truth).registration
    assert turned_frames.position_errors(found).max() < ALIASING
    assert models(found) == {"affine"}


@pytest.fixture(scope="module")
def stripes():
    """Two frames of fields that look the same again five pixels further down, but for a little texture."""
    y, x = np.indices((40, 40))

    def seen(dy):
        rows = [np.cos(2 * np.pi * (0.2 * (y - dy) + f * x) + p) for f, p in ((0.0, 0.3), (0.07, 1.0), (-0.11, 2.0))]
        texture = 0.2 * np.cos(2 * np.pi * (0.0007 * (y - dy) ** 2 + 0.03 * x))
        return np.stack([sum(rows), rows[0] - rows[1]]) * 10 + texture

    noise = np.random.default_rng(0).standard_normal((2, 2, 40, 40))
    return window_of([(image + n).astype(np.float32) for image, n in zip((seen(9.0), seen(9.3)), noise, strict=True)])


FIVE_OFF = Registration((FrameMotion(np.eye(3)), FrameMotion(translation((5.0, 0.0)))))


def test_a_start_is_used(stripes):
    """Five pixels off the best whole-pixel shift, it stays where it was put and finds the fraction of a pixel there."""
    alone = register_pairs(stripes, 0, AUTO).registration.shifts[1]
    assert alone == pytest.approx([0.3, 0], abs=0.05)
    begun = register_pairs(stripes, 0, AUTO, FIVE_OFF).registration.shifts[1]
    assert begun == pytest.approx([5.3, 0], abs=0.05)
    excluded = replace(FIVE_OFF, frames=(FIVE_OFF.frames[0], replace(FIVE_OFF.frames[1], excluded=True)))
    assert register_pairs(stripes, 0, AUTO, excluded).registration.shifts[1] == pytest.approx(alone)


@pytest.mark.parametrize("rows", [(4, 0), (0, 4)])
def test_a_start_counts_in_whole_frames_wherever_the_windows_begin(stripes, rows):
    """Taken for the window's own pixels, it would lie four off, nearer to the next stripe."""
    frames = [frame[:, y:] for frame, y in zip(stripes.frames, rows, strict=True)]
    window = window_of(frames, starts=[(y, 0) for y in rows])
    begun = register_pairs(window, 0, AUTO, FIVE_OFF).registration.shifts[1]
    assert begun == pytest.approx([5.3, 0], abs=0.05)


def test_a_frame_of_another_scene_is_left_out_with_a_reason(eigen_frames):
    frames = [shuffled(f) if k == 3 else f for k, f in enumerate(eigen_frames.frames)]
    found = register_pairs(window_of(frames), 0, AUTO).registration
    assert found.included == (0, 1, 2, 4)
    assert "does not show the reference's scene" in found.frames[3].reason
    assert found.frames[3].weight == 0
    # the others are registered as if it were not there
    assert np.array_equal(found.shifts[[1, 2, 4]], registered(eigen_frames).shifts[[1, 2, 4]])


def test_a_frame_that_is_mostly_hidden_by_a_cloud_is_registered(eigen_frames):
    clear = registered(eigen_frames).frames[2]
    frames = list(eigen_frames.window.frames)
    cloud = np.indices(frames[2].shape[1:])[0] < 0.55 * frames[2].shape[1]
    bright = 3 * np.abs(frames[2]).max((1, 2), keepdims=True)
    frames[2] = np.where(cloud, bright, frames[2])
    window, near = replace(eigen_frames.window, frames=frames), identity(len(frames), 0)
    hidden = register_pairs(window, 0, AUTO, near).registration.frames[2]
    assert not hidden.excluded
    assert hidden.shift == pytest.approx(clear.shift, abs=2 * ALIASING)


def test_a_frame_that_shares_little_with_the_scene_is_used_where_that_is_wanted(eigen_frames):
    frames = [0.15 * f + shuffled(f) if k == 3 else f for k, f in enumerate(eigen_frames.frames)]
    assert register_pairs(window_of(frames), 0, AUTO).registration.included == (0, 1, 2, 4)
    kept = register_pairs(window_of(frames), 0, GaussNewtonConfig(exclude=False)).registration
    assert kept.included == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("exclude", [True, False])
def test_a_negative_is_left_out_with_a_reason(eigen_frames, exclude):
    """A sensor's gain is positive, so there is no use for such a frame, whatever is wanted."""
    frames = [-f if k == 3 else f for k, f in enumerate(eigen_frames.frames)]
    start = Registration(tuple(replace(m, gain=1.0) for m in eigen_frames.simulation.registration.frames))
    config = GaussNewtonConfig(exclude=exclude)
    motion = register_pairs(window_of(frames), 0, config, start).registration.frames[3]
    assert motion.excluded
    assert "dark where that is bright" in motion.reason
    assert motion.gain == 1


def test_the_gain_of_a_frame_of_noise_is_not_kept(eigen_frames):
    noise = np.random.default_rng(0).standard_normal(eigen_frames.frames[3].shape).astype(np.float32)
    frames = [noise if k == 3 else f for k, f in enumerate(eigen_frames.frames)]
    motion = register_pairs(window_of(frames), 0, AUTO).registration.frames[3]
    assert motion.excluded
    assert "does not show the reference's scene" in motion.reason
    assert motion.gain == 1


@pytest.mark.parametrize("exclude", [True, False])
def test_a_frame_without_a_common_pixel_is_left_out_with_a_reason(eigen_frames, exclude):
    """Also where nobody wants frames judged: there is nothing to register it by."""
    far = FrameMotion(translation((100.0, 0.0)))
    motions = [far if k == 2 else FrameMotion(np.eye(3)) for k in range(5)]
    config = GaussNewtonConfig(exclude=exclude)
    found = register_pairs(eigen_frames.window, 0, config, Registration(tuple(motions))).registration
    assert found.included == (0, 1, 3, 4)
    assert found.frames[2].reason == "has no pixel in common with the reference"
    assert (found.frames[2].weight, found.frames[2].gain) == (0, 1)


def test_a_field_of_the_start_is_kept_whole_where_only_a_part_is_seen(waves):
    """The matrix is found in the window; the field, which a window cannot tell, is that of the whole reference."""
    truth = replace(waves.turned((0.6, -0.4), field=waves.bend(0.8)), model="local")
    start = replace(truth, matrix=translation((0.4, -0.3)) @ truth.matrix)
    corners = (9, 5), (7, 6)
    frames = waves.seen(), waves.seen(truth)
    parts = [frame[:, y : y + 28, x : x + 27] for frame, (y, x) in zip(frames, corners, strict=True)]
    begun = Registration((FrameMotion(np.eye(3)), start))
    found = register_pairs(window_of(parts, starts=list(corners)), 0, AUTO, begun, whole=False).registration.frames[1]
    assert np.array_equal(found.field, truth.field)
    pixels = np.moveaxis(np.indices((28, 27)), 0, -1) + corners[0]
    apart = np.linalg.norm(forward_motion(found, pixels) - forward_motion(truth, pixels), axis=-1)
    assert apart.max() < ALIASING


def test_a_frame_without_valid_pixels_is_left_out_with_a_reason(eigen_frames):
    masks = [np.full(mask.shape, k != 2) for k, mask in enumerate(eigen_frames.masks)]
    found = register_pairs(window_of(eigen_frames.frames, masks), 0, AUTO).registration
    assert found.included == (0, 1, 3, 4)
    assert found.frames[2].reason == "holds no valid pixel"
    assert eigen_frames.errors(found)[[0, 2, 3]].max() < ALIASING


def test_one_frame_is_its_own_reference(eigen_frames):
    found = register_pairs(window_of(eigen_frames.frames[:1]), 0, AUTO).registration
    assert np.array_equal(found.shifts, np.zeros((1, 2)))
    assert found.included == (0,)


def test_gain_and_offsets_are_kept_where_they_are_worth_it(eigen_frames):
    plain = register_pairs(eigen_frames.window, 0, AUTO)
    assert [motion.gain for motion in plain.registration.frames] == [1.0] * 5
    assert not np.any(plain.offsets)
    offset = np.linspace(3, -3, len(eigen_frames.frames[1]))
    frames = list(eigen_frames.frames)
    frames[1] = (1.1 * frames[1] + offset[:, None, None]).astype(np.float32)
    pair = register_pairs(window_of(frames), 0, AUTO)
    assert pair.registration.frames[1].gain == pytest.approx(1.1, rel=0.01)
    assert pair.registration.shifts == pytest.approx(plain.registration.shifts, abs=1e-3)
    assert pair.offsets[1] == pytest.approx(
        offset, abs=1.0
    )  # noise has variance 1; what enters and leaves shifts means
    assert not np.any([pair.offsets[k] for k in (0, 2, 3, 4)])


def test_a_caller_can_stop_it(eigen_frames):
    seen = []

    def stop_at(k):
        seen.append(k)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        register_pairs(eigen_frames.window, 0, AUTO, on_frame=stop_at)
    assert seen == [1, 2]


@pytest.mark.parametrize("scene", ["salinas-a", "jasper-ridge", "pavia-centre", "abu-airport-1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_real_scenes_are_registered(shared_data, scene, seed):
    """Even the stripes of Salinas' fields, which half a pixel off look like the next stripe."""
    cube = open_cube(shared_data / "scenes" / f"{scene}.mat")
    simulation = simulate(cube.read()[cube.good], 2, 8, PSF, snr=30, max_shift=2.0, seed=seed)
    masks = [np.ones(f.shape[1:], bool) for f in simulation.frames]
    bad = np.zeros(len(simulation.sigma), bool)
    subspace = estimate_subspace(list(simulation.frames), masks, simulation.sigma, bad, 8)
    found = register_pairs(window_of([subspace.project(f) for f in simulation.frames]), 0, AUTO).registration
    # what the joint refinement asks of its start
    assert np.abs(found.shifts - simulation.motions[:, :2, 2]).max() < 0.1

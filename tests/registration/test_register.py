"""Registration of a stack, from any start, with frames that do not belong."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import Cancelled
from hsimisr.io.open import open_cube
from hsimisr.physics.simulator import simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.registration.config import GaussNewtonConfig, JointConfig
from hsimisr.registration.register import identity, refine_jointly, register_pairs

PSF = "mtf:0.29"


def jointly(given, start, frames=None, **config):
    frames = given.frames if frames is None else frames
    noise = np.ones((len(frames), len(frames[0])))
    return refine_jointly(
        frames, given.masks, start, given.prior, noise, given.psf, 2, JointConfig(**config), given.device
    )


def test_frames_that_are_aligned_already():
    registration = identity(3, 1)
    assert registration.reference == 1
    assert all(np.array_equal(motion.matrix, np.eye(3)) for motion in registration.frames)


def test_pairs_find_the_shifts(eigen_frames):
    """Aliasing leaves a few hundredths of a pixel; the joint refinement asks for a start within a tenth."""
    found = register_pairs(eigen_frames.frames, eigen_frames.masks, 0, GaussNewtonConfig())
    assert eigen_frames.errors(found).max() < 0.05


def test_the_reference_does_not_move(eigen_frames):
    pairs = register_pairs(eigen_frames.frames, eigen_frames.masks, 2, GaussNewtonConfig())
    joint = jointly(eigen_frames, pairs, steps=2)
    for found in (pairs, joint):
        assert found.reference == 2
        assert np.array_equal(found.frames[2].matrix, np.eye(3))
        assert not found.frames[2].covariance.any()


def test_another_reference_moves_all_shifts_along(eigen_frames):
    config = GaussNewtonConfig()
    first, third = (register_pairs(eigen_frames.frames, eigen_frames.masks, k, config) for k in (0, 2))
    relative = first.shifts - first.shifts[2]
    # each of the two pairs has an error of its own, which their covariances tell
    spread = np.sqrt([3 * np.trace(r.frames[k].covariance) for r in (first, third) for k in range(5)]).max()
    assert third.shifts == pytest.approx(relative, abs=5 * spread + 0.02)


def test_image_and_shifts_together_beat_pairs(eigen_frames):
    pairs = register_pairs(eigen_frames.frames, eigen_frames.masks, 0, GaussNewtonConfig())
    joint = jointly(eigen_frames, pairs)
    rms = [np.sqrt((eigen_frames.errors(r) ** 2).mean()) for r in (pairs, joint)]
    assert rms[1] < 0.6 * rms[0]


def test_the_joint_error_bars_cover_the_errors(eigen_frames):
    """d' C^-1 d over eight coordinates has mean 8 and variance 16; five deviations above, none below zero."""
    pairs = register_pairs(eigen_frames.frames, eigen_frames.masks, 0, GaussNewtonConfig())
    joint = jointly(eigen_frames, pairs)
    apart = joint.shifts - eigen_frames.simulation.motions[:, :2, 2]
    chi2 = sum(d @ np.linalg.solve(m.covariance, d) for d, m in list(zip(apart, joint.frames, strict=True))[1:])
    assert chi2 < 8 + 5 * 4


def test_the_order_of_the_frames_does_not_matter(eigen_frames):
    order = [0, 3, 1, 4, 2]
    shuffled = [eigen_frames.frames[k] for k in order]
    config = GaussNewtonConfig()
    plain = register_pairs(eigen_frames.frames, eigen_frames.masks, 0, config)
    other = register_pairs(shuffled, eigen_frames.masks, 0, config)
    assert np.array_equal(other.shifts, plain.shifts[order])
    joint = jointly(eigen_frames, plain).shifts
    joint_other = jointly(eigen_frames, other, shuffled).shifts
    # sums over frames are rounded in another order, and the iteration ends at steps of 2e-4 LR pixels
    assert joint_other == pytest.approx(joint[order], abs=2e-4)


def test_a_frame_of_another_scene_is_left_out_with_a_reason(eigen_frames):
    frames = list(eigen_frames.frames)
    frames[3] = (
        np.random.default_rng(0).permuted(frames[3].reshape(len(frames[3]), -1), axis=1).reshape(frames[3].shape)
    )
    found = register_pairs(frames, eigen_frames.masks, 0, GaussNewtonConfig())
    assert found.included == (0, 1, 2, 4)
    assert "does not show the reference's scene" in found.frames[3].reason
    kept = register_pairs(frames, eigen_frames.masks, 0, GaussNewtonConfig(exclude=False))
    assert kept.included == (0, 1, 2, 3, 4)


def test_what_is_left_out_stays_out(eigen_frames):
    frames = list(eigen_frames.frames)
    frames[3] = (
        np.random.default_rng(0).permuted(frames[3].reshape(len(frames[3]), -1), axis=1).reshape(frames[3].shape)
    )
    pairs = register_pairs(frames, eigen_frames.masks, 0, GaussNewtonConfig())
    joint = jointly(eigen_frames, pairs, frames, steps=2)
    assert joint.included == pairs.included
    assert np.array_equal(joint.frames[3].matrix, pairs.frames[3].matrix)


def test_one_frame_is_its_own_reference(eigen_frames):
    pairs = register_pairs(eigen_frames.frames[:1], eigen_frames.masks[:1], 0, GaussNewtonConfig())
    assert jointly(eigen_frames, pairs) is pairs
    assert np.array_equal(pairs.shifts, np.zeros((1, 2)))


def test_a_caller_can_stop_it(eigen_frames):
    seen = []

    def stop_at(step):
        seen.append(step)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        register_pairs(eigen_frames.frames, eigen_frames.masks, 0, GaussNewtonConfig(), stop_at)
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
    found = register_pairs([subspace.project(f) for f in simulation.frames], masks, 0, GaussNewtonConfig())
    # what the joint refinement asks of its start
    assert np.abs(found.shifts - simulation.motions[:, :2, 2]).max() < 0.1

"""What people are told about single frames: nothing of good ones, the reason where one is not as the others are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.robust import solve_robustly
from hsimisr.registration.triage import BAD_FIT, judged, without_strangers

ODD = 2


def told(given, cubes=None, registration=None, masks=None, scale=2):
    """The true motions of the frames, judged by what an estimate from all of them leaves unexplained."""
    cubes = list(given.simulation.frames) if cubes is None else cubes
    registration = registration or given.simulation.registration
    window, found = solved(given, cubes, registration, given.masks if masks is None else masks, scale)
    return judged(registration, found, window, cubes).frames


def solved(given, cubes, registration, masks, scale=2):
    """Eigen-images of the cubes, and the estimate from all frames that are not left out."""
    images = [given.subspace.project(cube) * mask for cube, mask in zip(cubes, masks, strict=True)]
    window = FrameWindow(images, masks, [(0, 0)] * len(cubes))
    scene = replace(given.scene(registration), scale=scale)
    view = View.whole(cubes[registration.reference].shape[1:])
    return window, solve_robustly(observe(window, scene, view, torch.device("cpu")), scene.prior, LmmseConfig())


def left_out(given, cubes):
    """Numbers of the frames that are taken for another scene's, and why."""
    registration = given.simulation.registration
    _, found = solved(given, cubes, registration, given.masks)
    frames = without_strangers(registration, found).frames
    return {k: motion.reason for k, motion in enumerate(frames) if motion.excluded}


def with_odd(given, change):
    """The cubes with one of them changed."""
    return [change(cube) if k == ODD else cube for k, cube in enumerate(given.simulation.frames)]


def test_good_frames_fit_and_there_is_nothing_to_tell(eigen_frames):
    """A residual twice the noise is what edges leave under a prior that knows of none."""
    frames = told(eigen_frames)
    assert [motion.reason for motion in frames] == [""] * 5
    chi2 = np.array([motion.chi2 for motion in frames])
    assert (chi2 > 0.5).all()
    assert (chi2 < 2).all()


def noise_of(given):
    """Noise of the sensor ``(B, h, w)``."""
    shape = given.simulation.frames[ODD].shape
    return given.simulation.sigma[:, None, None] * np.random.default_rng(0).standard_normal(shape)


def with_blurred(given):
    noise = noise_of(given)
    return with_odd(given, lambda c: (gaussian_filter(c, (0, 1.2, 1.2)) + noise).astype("f4"))


def called_blurred(frames):
    return [k for k, motion in enumerate(frames) if "blurred" in motion.reason]


def test_a_blurred_frame_is_called_so(eigen_frames):
    frames = told(eigen_frames, with_blurred(eigen_frames))
    assert called_blurred(frames) == [ODD]
    assert "detail is left" in frames[ODD].reason


def test_a_darker_frame_is_not_called_blurred(eigen_frames):
    """Half the gain is a quarter of the power of its detail."""
    noise = np.sqrt(0.75) * noise_of(eigen_frames)
    cubes = with_odd(eigen_frames, lambda c: (0.5 * c + noise).astype("f4"))
    true = eigen_frames.simulation.registration
    darker = tuple(replace(motion, gain=0.5) if k == ODD else motion for k, motion in enumerate(true.frames))
    assert called_blurred(told(eigen_frames, cubes, replace(true, frames=darker))) == []


@pytest.mark.parametrize("which", [ODD, 0])
def test_dead_lines_do_not_change_who_is_called_blurred(eigen_frames, which):
    """Neither in the blurred frame, nor in another: their edges are no detail."""
    masks = [mask.copy() for mask in eigen_frames.masks]
    masks[which][::5] = masks[which][:, ::5] = False
    assert called_blurred(told(eigen_frames, with_blurred(eigen_frames), masks=masks)) == [ODD]
    assert called_blurred(told(eigen_frames, masks=masks)) == []


def test_a_clouded_frame_is_called_so(eigen_frames):
    y, x = np.indices(eigen_frames.frames[0].shape[1:])
    cloud = np.hypot(y - 12, x - 20) < 7
    frames = told(eigen_frames, with_odd(eigen_frames, lambda c: np.where(cloud, 2 * c.max(), c).astype("f4")))
    assert "shows something else (clouds, moving things)" in frames[ODD].reason
    assert [motion.reason for k, motion in enumerate(frames) if k != ODD] == [""] * 4


def test_a_frame_of_another_scene_is_left_out(eigen_frames):
    """Here upside down: beside what all others show it explains nothing."""
    out = left_out(eigen_frames, with_odd(eigen_frames, lambda c: c[:, ::-1, ::-1].copy()))
    assert list(out) == [ODD]
    assert "does not show what the other frames do" in out[ODD]


def test_frames_that_only_look_bad_are_not_left_out(eigen_frames):
    y, x = np.indices(eigen_frames.frames[0].shape[1:])
    cloud = np.hypot(y - 12, x - 20) < 9
    assert left_out(eigen_frames, with_odd(eigen_frames, lambda c: c)) == {}
    assert left_out(eigen_frames, with_odd(eigen_frames, lambda c: np.where(cloud, 2 * c.max(), c).astype("f4"))) == {}
    assert left_out(eigen_frames, with_blurred(eigen_frames)) == {}


def test_a_saturated_frame_is_called_so(eigen_frames):
    def clip(cube):
        return np.minimum(cube, np.quantile(cube, 0.93, axis=(1, 2), keepdims=True)).astype(np.float32)

    frames = told(eigen_frames, with_odd(eigen_frames, clip))
    assert "saturated in 7%" in frames[ODD].reason
    assert not any("saturated" in motion.reason for k, motion in enumerate(frames) if k != ODD)


def test_a_frame_at_the_wrong_place_fits_badly(eigen_frames):
    true = eigen_frames.simulation.registration
    off = replace(true.frames[ODD], matrix=true.frames[ODD].matrix + np.array([[0, 0, 0.4], [0, 0, -0.3], [0, 0, 0]]))
    frames = told(eigen_frames, registration=replace(true, frames=(*true.frames[:ODD], off, *true.frames[ODD + 1 :])))
    assert "fits badly" in frames[ODD].reason or "something else" in frames[ODD].reason
    assert frames[ODD].chi2 == max(motion.chi2 for motion in frames)


def test_a_frame_of_which_no_pixel_has_neighbours_is_not_called_blurred(eigen_frames):
    """Of its detail nothing is known; the others are compared without it."""
    masks = [mask.copy() for mask in eigen_frames.masks]
    masks[0][::3] = False
    assert called_blurred(told(eigen_frames, masks=masks)) == []
    assert called_blurred(told(eigen_frames, with_blurred(eigen_frames), masks=masks)) == [ODD]


def test_at_scale_1_aliasing_is_not_called_a_bad_fit(eigen_frames):
    """The model of scale 1 knows of none, so that all aliased frames would fit badly."""
    frames = told(eigen_frames, scale=1)
    assert max(motion.chi2 for motion in frames) > BAD_FIT
    assert not any("fits badly" in motion.reason for motion in frames)


def test_frames_that_are_left_out_are_not_judged(eigen_frames):
    true = eigen_frames.simulation.registration
    out = replace(true.frames[ODD], excluded=True, weight=0.0, reason="by hand")
    frames = told(eigen_frames, registration=replace(true, frames=(*true.frames[:ODD], out, *true.frames[ODD + 1 :])))
    assert frames[ODD] is out
    assert np.isnan(frames[ODD].chi2)
    assert all(np.isfinite(motion.chi2) for k, motion in enumerate(frames) if k != ODD)


@pytest.mark.parametrize("count", [1, 2])
def test_few_frames_are_not_compared_with_each_other(make_eigen_frames, count):
    given = make_eigen_frames(frames=count)
    assert not any("blurred" in motion.reason or "something" in motion.reason for motion in told(given))

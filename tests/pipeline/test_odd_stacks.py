"""Stacks that are not as they should be: bad bands, holes, strangers, frames of other sizes, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.geometry import View
from hsimisr.metrics import evaluate
from hsimisr.pipeline.events import Failed, Finished

SMALL = {"register": {"method": "gauss_newton"}, "invert": {"method": "lmmse", "rounds": 0}}


def test_bands_that_are_bad_come_out_as_nan_and_change_nothing_else(simulation, carry_out):
    frames = simulation.frames.copy()
    bad = np.zeros(frames.shape[1], bool)
    bad[[2, 7]] = True
    frames[:, bad] = 1e4
    cubes = tuple(Cube.from_array(f, bad=bad) for f in frames)
    result = carry_out(cubes).end.result
    bands, std = result.estimate.bands(), result.estimate.std()
    assert np.isnan(bands[bad]).all()
    assert np.isnan(std[bad]).all()
    assert np.isfinite(bands[~bad]).all()
    without = carry_out(frames[:, ~bad]).end.result
    np.testing.assert_allclose(result.estimate.determined, without.estimate.determined, atol=1e-4)
    assert np.array_equal(bands[~bad], without.estimate.bands())


def test_dead_bands_are_found(simulation, carry_out):
    frames = simulation.frames.copy()
    frames[:, 5] = 0.25
    result = carry_out(frames).end.result
    assert np.flatnonzero(result.scene.subspace.bad).tolist() == [5]


@pytest.mark.parametrize("which", [slice(None), slice(0, 1), slice(2, 3)])
def test_a_band_without_any_value_is_bad_though_nobody_said_so(simulation, carry_out, which):
    frames = simulation.frames.copy()
    frames[which, 5] = np.nan
    end = carry_out(frames).end
    assert isinstance(end, Finished), end
    assert np.flatnonzero(end.result.scene.subspace.bad).tolist() == [5]
    assert len(end.result.scene.registration.included) == 4


def test_a_frame_that_does_not_belong_is_left_out_with_a_reason(simulation, carry_out, finished):
    rng = np.random.default_rng(0)
    frames = simulation.frames.copy()
    frames[2] = rng.permuted(frames[2].reshape(len(frames[2]), -1).T, axis=0).T.reshape(frames[2].shape)
    result = carry_out(frames).end.result
    assert result.scene.registration.included == (0, 1, 3)
    assert result.scene.registration.frames[2].reason
    assert result.diagnostics["frames_used"] == 3
    psnr = [evaluate(simulation.truth, e.bands(), 2).psnr for e in (result.baseline, result.estimate)]
    assert psnr[1] > psnr[0]


def test_a_frame_that_measured_nothing_is_left_out(simulation, carry_out):
    frames = simulation.frames.copy()
    frames[2] = np.nan
    end = carry_out(frames).end
    assert isinstance(end, Finished), end
    assert end.result.scene.registration.included == (0, 1, 3)
    assert end.result.scene.registration.frames[2].reason


def test_frames_may_differ_in_size(simulation, carry_out, finished):
    frames = tuple(Cube.from_array(f) for f in simulation.frames)
    frames = (frames[0], Cube.from_array(simulation.frames[1][:, :28, :25]), *frames[2:])
    result = carry_out(frames).end.result
    assert result.estimate.grid.shape == (64, 64)
    error = np.abs(result.scene.registration.shifts - simulation.motions[:, :2, 2])
    assert error.max() < 0.05
    full = evaluate(simulation.truth, finished.estimate.bands(), 2).psnr
    assert evaluate(simulation.truth, result.estimate.bands(), 2).psnr > full - 1


def test_a_hole_in_one_frame_is_filled_by_the_others(simulation, carry_out, finished):
    frames = simulation.frames.copy()
    frames[1, :, 8:14, 10:18] = np.nan
    result = carry_out(frames).end.result
    assert np.isfinite(result.estimate.bands()).all()
    full = evaluate(simulation.truth, finished.estimate.bands(), 2).psnr
    assert evaluate(simulation.truth, result.estimate.bands(), 2).psnr > full - 1
    # fewer frames look at the hole: its error bars are wider there, and hardly anywhere else
    ratio = result.estimate.variance.mean(0) / finished.estimate.variance.mean(0)
    moved = simulation.motions[1][:2, 2]
    hole = tuple(
        slice(round(2 * (a - d)) + 3, round(2 * (b - d)) - 3)
        for (a, b), d in zip(((8, 14), (10, 18)), moved, strict=True)
    )
    assert ratio[hole].mean() > 1.02
    assert ratio[hole].mean() > ratio[-12:].mean()


def test_a_hole_in_the_reference_is_filled_too(simulation, carry_out):
    frames = simulation.frames.copy()
    frames[0, :, 8:14, 10:18] = np.nan
    result = carry_out(frames).end.result
    patch = (slice(None), slice(18, 26), slice(22, 34))
    error = np.abs(result.estimate.bands()[patch] - simulation.truth[patch])
    assert np.median(error / result.estimate.std()[patch]) < 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: np.full_like(f, np.nan), "holds no valid pixel"),
        (lambda f: np.zeros_like(f), "bad or constant"),
        (lambda f: f[:, :, :12, :12], "at least 16 x 16"),
    ],
)
def test_frames_that_hold_nothing_are_refused(simulation, carry_out, spoil, words):
    end = carry_out(spoil(simulation.frames)).end
    assert isinstance(end, Failed)
    assert words in end.error


def test_all_bands_bad_is_refused(simulation, carry_out):
    cubes = tuple(Cube.from_array(f, bad=np.ones(len(f), bool)) for f in simulation.frames)
    end = carry_out(cubes).end
    assert isinstance(end, Failed)
    assert "bad" in end.error


def test_frames_of_other_sensors_are_refused(simulation, carry_out):
    cubes = (Cube.from_array(simulation.frames[0]), Cube.from_array(simulation.frames[1][:5], name="odd one"))
    end = carry_out(cubes).end
    assert isinstance(end, Failed)
    assert "odd one" in end.error


def test_a_frame_that_measured_nothing_in_the_view_gives_nothing(simulation, carry_out):
    """One small frame of a large stack, far from the view."""
    tall = np.concatenate([simulation.frames, simulation.frames[:, :, ::-1]] * 4, axis=2)[:, :, :224]
    cubes = tuple(Cube.from_array(f) for f in (*tall[:3], simulation.frames[3]))
    end = carry_out(cubes, view=View(200, 216, 4, 20), options=SMALL).end
    assert isinstance(end, Finished), end
    assert 3 not in end.result.scene.registration.included

"""Jobs from end to end: what is told, what comes out, what is refused, and how a job is stopped."""

from __future__ import annotations

import dask.array as da
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
    assert stages == ["scene", "register", "invert"]
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
    mean, variance = invert(eigen, result.scene, view, LmmseConfig(), torch.device("cpu"))
    assert np.array_equal(result.estimate.mean, mean)
    assert np.array_equal(result.estimate.variance, variance)
    assert np.array_equal(result.scene.registration.shifts, np.zeros((1, 2)))


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
    assert evaluate(simulation.truth, result.estimate.bands(), 2).psnr > 0


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


class NotInOnePiece:
    """An array in a file that can be read in parts only: more rows at once do not fit into memory."""

    def __init__(self, array, most, granted):
        self.array, self.most, self.granted = array, most, granted
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        part = self.array[key]
        if part.shape[1] > self.most:
            self.granted -= 1
            if self.granted < 0:
                np.empty(2**50)  # more than can be addressed: numpy raises its own MemoryError
        return part


@pytest.fixture
def tall(simulation):
    """Frames of 96 x 32 pixels, three times the scene, the middle one upside down."""
    return np.concatenate([simulation.frames, simulation.frames[:, :, ::-1], simulation.frames], axis=2)


def unreadable(frames, most, granted):
    """Cubes of which `granted` reads of more than `most` rows succeed."""
    return tuple(
        Cube(da.from_array(NotInOnePiece(f, most, granted), chunks=-1, name=f"{most}-{k}"))
        for k, f in enumerate(frames)
    )


def test_out_of_memory_is_retried_with_smaller_tiles(tall, carry_out):
    """The scene model is read in one piece; the reconstruction of all 96 rows is not."""
    listener = carry_out(unreadable(tall, 60, granted=1), options=SMALL)
    assert isinstance(listener.end, Finished), listener.end
    told = {e.message for e in listener.of(Progress) if "out of memory" in e.message}
    assert told == {"out of memory, again with tiles of 48 pixels"}
    plain = carry_out(tall, options=SMALL).end.result.estimate
    apart = (listener.end.result.estimate.mean - plain.mean) / np.sqrt(plain.variance)
    assert np.sqrt(np.mean(apart**2)) < 0.5


def test_out_of_memory_again_ends_the_job_with_the_way_out(tall, carry_out):
    end = carry_out(unreadable(tall, 40, granted=1), options=SMALL).end
    assert isinstance(end, Failed)
    assert "out of memory" in end.error
    assert "smaller view" in end.hint


def test_tiles_without_data_do_not_stop_the_whole(tall, carry_out):
    """The corner of a turned footprint: a third of the rows is missing in all frames."""
    frames = tall.copy()
    frames[:, :, :50] = np.nan
    estimate = carry_out(unreadable(frames, 60, granted=1), options=SMALL).end.result.estimate
    assert np.isfinite(estimate.mean).all()
    assert (estimate.variance > 0).all()
    assert estimate.variance[:, :80].mean() > 2 * estimate.variance[:, 120:].mean()


def test_a_view_without_data_is_refused(tall, carry_out):
    frames = tall.copy()
    frames[:, :, :50] = np.nan
    end = carry_out(frames, view=View(4, 30, 4, 20), options={"register": {"method": "none"}}).end
    assert isinstance(end, Failed)
    assert "4:30,4:20" in end.error


def test_a_script_gets_the_result_and_errors_as_exceptions(stack, finished):
    result = refine(stack, PipelineConfig())
    assert np.array_equal(result.estimate.mean, finished.estimate.mean)
    with pytest.raises(ConfigError, match="outside the reference"):
        refine(stack, view=View(40, 50, 0, 10))


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="abacus"):
        choose_device("abacus")

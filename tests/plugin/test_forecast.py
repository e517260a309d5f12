"""What a run will take is told from runs like it, and a question is asked where that is much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from hsimisr.pipeline.memory import job_bytes
from napari_hsimisr.forecast import forecast

FREE = 8 << 30
VIEW = View(0, 10, 0, 10)


@pytest.fixture
def history(desk):
    """One run of 100 pixels: 3 s for the frames and 0.02 s per pixel."""
    timings = {"first_picture_s": 1.0, "register_s": 2.0, "invert_s": 1.5, "baseline_s": 0.5}
    desk.session.refine(PipelineConfig(), whole=False, region=VIEW)
    result = replace(desk.result(VIEW), diagnostics={"timings": timings})
    desk.session.handle(Finished(desk.jobs[-1].number, result))
    return desk.session.history


def test_time_grows_with_the_view_but_for_what_the_frames_take(history) -> None:
    expected = forecast(history, PipelineConfig(), 2, 2, View(0, 100, 0, 50), FREE)
    assert expected.seconds == pytest.approx(3.0 + 5000 * 0.02)
    assert expected.is_heavy
    assert "about 2 min" in expected.text
    assert not forecast(history, PipelineConfig(), 2, 2, VIEW, FREE).is_heavy


@pytest.mark.parametrize(("config", "frames"), [(PipelineConfig(scale=3), 2), (PipelineConfig(), 3)])
def test_runs_with_other_settings_or_frames_tell_nothing_of_time(history, config, frames) -> None:
    expected = forecast(history, config, frames, 2, VIEW, FREE)
    assert expected.seconds is None
    assert not expected.is_heavy
    assert "no run with these settings" in expected.text


def test_memory_is_that_of_the_result_and_a_tile(history) -> None:
    expected = forecast(history, PipelineConfig(), 2, 2, VIEW, FREE)
    assert expected.nbytes == job_bytes(VIEW, 2, 2, 2, 2, FREE)  # the rank is known from the run
    more = forecast([], PipelineConfig(), 2, 2, VIEW, FREE)
    assert more.nbytes > expected.nbytes  # 16 eigen-images, for all that is known


def test_what_does_not_fit_is_worth_a_question_however_short(history) -> None:
    scene = View(0, 20_000, 0, 20_000)
    for free in (FREE, 1 << 10):  # the result does not fit; not even a tile does
        expected = forecast([], PipelineConfig(), 2, 2, scene, free)
        assert not expected.fits
        assert expected.is_heavy
    assert "more memory than there is" in expected.text


def test_the_session_forecasts_everything_or_a_region(desk, history) -> None:
    whole, part = desk.session.forecast(PipelineConfig()), desk.session.forecast(PipelineConfig(), VIEW)
    assert whole.seconds == pytest.approx(3.0 + 24 * 20 * 0.02)
    assert part.seconds == pytest.approx(5.0)
    desk.viewer.layers.clear()
    assert desk.session.forecast(PipelineConfig()) is None

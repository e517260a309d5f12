"""Frames are compared where they are shown, in the scene's values, at the pixels of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.errors import ConfigError
from hsimisr.geometry import View, translation
from hsimisr.physics.types import FrameMotion
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr.comparison import Comparison, plan_comparison
from napari_hsimisr.view import world_at

H, W = 24, 20
SHIFT = (1.5, -2.25)


@pytest.fixture
def registered(desk):
    """Two frames that hold the scene's own y and x as bands, registered, all of them on the canvas."""
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[-1].number, desk.result()))
    show(desk, (H / 2, W / 2), zoom=4)
    desk.viewer.dims.set_current_step(0, 0)
    return desk


def show(desk, centre: tuple[float, float], zoom: float) -> None:
    desk.viewer.canvas.size = (120, 120)
    desk.viewer.scene.camera.center = world_at(desk.session.frames[0], centre)
    desk.viewer.scene.camera.zoom = zoom


def compare(desk) -> Comparison:
    plan = plan_comparison(desk.session, desk.session.frames[1])
    assert plan is not None
    return plan.read()


def inner(image: np.ndarray) -> np.ndarray:
    """Where the other frame's edge, at which a ramp has a kink, does not reach: a spline forgets it by 0.27 a pixel."""
    return image[8:-8, 8:-8]


@pytest.mark.parametrize("band", [0, 1])
def test_aligned_frames_do_not_differ_and_a_nudged_one_does(registered, band: int) -> None:
    session = registered.session
    registered.viewer.dims.set_current_step(0, band)
    np.testing.assert_allclose(inner(compare(registered).difference), 0, atol=5e-4)
    session.alignment.nudge(session.frames[1], (0.5, -0.25), session.frames[0])
    moved = compare(registered)
    np.testing.assert_allclose(inner(moved.difference), (-0.5, 0.25)[band], atol=5e-4)
    assert moved.rms_share > 0.005


def test_frames_shown_as_measured_are_compared_as_measured(registered) -> None:
    registered.session.show_aligned(False)
    np.testing.assert_allclose(inner(compare(registered).difference), -SHIFT[0], atol=5e-4)


def test_gain_and_offset_are_taken_out(registered) -> None:
    session = registered.session
    state = session.alignment.state
    motions = dict(state.motions)
    other = session.frames[1]
    before = compare(registered)
    motions[other] = replace(motions[other], gain=2.0, offset=np.array([3.0, 5.0]))
    session.alignment.state = replace(state, motions=motions)
    band = before.band
    expected = (before.frame - motions[other].offset[band]) / 2
    np.testing.assert_allclose(compare(registered).frame, expected, rtol=1e-6)


def test_only_the_view_is_compared_and_what_the_frame_does_not_show_is_missing(registered) -> None:
    show(registered, (2, 16), zoom=20)
    comparison = compare(registered)
    assert comparison.view == View(0, 6, 13, 20)
    assert comparison.difference.shape == comparison.view.shape
    show(registered, (H / 2, W / 2), zoom=4)
    missing = np.isnan(compare(registered).difference)
    assert missing[-2:].all()  # frame 1 would show them at rows 23.5 and 24.5
    assert missing[:, :3].all()
    assert not missing[:-2, 3:].any()


def test_squares_stay_where_they_are_when_the_view_moves() -> None:
    def of(view: View) -> np.ndarray:
        zeros = np.zeros(view.shape, np.float32)
        return Comparison(0, view, zeros, zeros + 1, (0.0, 1.0)).checkerboard(4)

    board = of(View(0, 16, 0, 16))
    assert board[:4, :4].max() == 0
    assert board[:4, 4:8].min() == 1
    np.testing.assert_array_equal(of(View(3, 9, 5, 16)), board[3:9, 5:16])


def test_a_band_without_data_says_so() -> None:
    nothing = np.full((4, 4), np.nan, np.float32)
    assert np.isnan(Comparison(0, View(0, 4, 0, 4), nothing, nothing, (0.0, 1.0)).rms_share)


def test_a_reference_off_the_canvas_is_an_error_that_says_so(registered) -> None:
    show(registered, (1000, 1000), zoom=4)
    with pytest.raises(ConfigError, match="not on the canvas"):
        compare(registered)


def test_an_excluded_frame_is_compared_as_it_is_shown(registered) -> None:
    session, other = registered.session, registered.session.frames[1]
    out = FrameMotion(translation((9, 9)), excluded=True, reason="blurred")
    session.alignment.state = replace(session.alignment.state, motions={**session.motions, other: out})
    np.testing.assert_allclose(inner(compare(registered).difference), -SHIFT[0], atol=5e-4)

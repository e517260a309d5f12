"""A clicked point is read in every frame where its motion puts it, and in the estimate at its own pixel."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.geometry import View, translation
from hsimisr.physics.types import FrameMotion, hr_index
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr.curves import Reading, Way, curves_of
from napari_hsimisr.layers import frame_layer
from napari_hsimisr.pins import Pin
from napari_hsimisr.places import Place
from napari_hsimisr.readout import interpolate, joined, plan_readout
from napari_hsimisr.view import world_at

H, W = 24, 20
SHIFT = (1.5, -2.25)


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 2.5, 2.5), (1, 30, 20)])
def test_frames_are_read_through_their_motion(new_desk, scale: tuple[float, float, float]) -> None:
    desk = new_desk(scale)
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[0].number, desk.result()))

    point = (9.3, 11.6)
    assert session.reference is not None
    session.set_pin(world_at(session.reference, point))
    plan = plan_readout(session)
    assert plan is not None
    readout = plan.read()

    np.testing.assert_allclose(readout.point, point)
    np.testing.assert_allclose(plan.frames[1][2], np.add(point, SHIFT))
    assert [curve.label for curve in readout.frames] == ["frame 0", "frame 1"]
    for curve in readout.frames:
        np.testing.assert_allclose(curve.values, point, atol=1e-5)
    assert readout.refined is not None
    pixel = hr_index(point, session.estimate.grid)  # type: ignore[union-attr]
    np.testing.assert_allclose(readout.refined.values, (np.array(pixel) + 0.5) / 2 - 0.5, atol=1e-5)
    np.testing.assert_allclose(readout.refined.std, 0.5)


def test_before_any_registration_frames_are_read_where_they_lie_on_the_canvas(new_desk) -> None:
    session = new_desk((1, 2.5, 2.5)).session
    session.frames[1].translate = (0, 7 - 2.5 * SHIFT[0], -3 - 2.5 * SHIFT[1])  # aligned by hand
    session.set_pin(world_at(session.frames[0], (8.0, 9.0)))
    plan = plan_readout(session)
    assert plan is not None
    for curve in plan.read().frames:
        np.testing.assert_allclose(curve.values, (8.0, 9.0), atol=1e-5)


def test_points_outside_a_frame_or_the_refined_view_give_no_curve(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[0].number, desk.result(View(4, 10, 4, 10))))
    session.set_pin(world_at(session.frames[0], (H - 1.0, 5.0)))  # frame 1 shows it at row 24.5
    plan = plan_readout(session)
    assert plan is not None
    readout = plan.read()
    assert [curve.label for curve in readout.frames] == ["frame 0"]
    assert readout.refined is None
    assert readout.baseline is None


def test_a_local_field_adds_to_the_matrix() -> None:
    field = np.zeros((2, H, W), np.float32)
    field[:, 5, 6] = 0.25, -0.5
    motion = FrameMotion(translation((1, 2)), field=field)
    near = 0.8 * 0.9  # the field is bilinear between its pixels, as the solvers take it
    expected = (5.2 + 1 + 0.25 * near, 5.9 + 2 - 0.5 * near)
    assert Place(np.eye(3), motion).pixels((5.2, 5.9)) == pytest.approx(expected, abs=1e-12)


def test_nodata_next_to_a_pixel_does_not_touch_its_own_spectrum() -> None:
    data = np.ones((3, 4, 4), np.float32)
    data[:, 1, 2] = -9999
    cube = Cube.from_array(data, nodata=-9999)
    np.testing.assert_array_equal(interpolate(cube, (1.0, 1.0)), 1)
    assert np.isnan(interpolate(cube, (1.0, 1.5))).all()


def test_curves_break_where_data_or_bands_are_missing() -> None:
    wavelengths = np.array([1300.0, 1310, 1320, 1330, 1490, 1500, 1510, 1520])  # water vapour was cut out
    values = np.array([1, 2, 3, 4, 5, np.nan, 7, 8], np.float32)
    assert joined(wavelengths, values).tolist() == [True, True, True, False, False, False, True, False]
    assert joined(np.array([490.0, 560, 665, 842]), values[:4]).tolist() == [True, True, True, False]  # Sentinel-2
    assert joined(np.arange(1.0), values[:1]).tolist() == [False]


@pytest.mark.parametrize("box", [3, 5])
@pytest.mark.parametrize("point", [(9.0, 11.0), (9.3, 11.6), (0.2, 18.9), (22.6, 0.4)])
def test_a_box_averages_the_points_around(box: int, point: tuple[float, float]) -> None:
    cube = Cube.from_array(np.random.default_rng(0).normal(size=(3, H, W)).astype(np.float32))
    reach = box // 2
    around = [(point[0] + i, point[1] + j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    inside = [each for each in around if 0 <= each[0] <= H - 1 and 0 <= each[1] <= W - 1]
    expected = np.mean([interpolate(cube, each) for each in inside], axis=0)
    np.testing.assert_allclose(interpolate(cube, point, box), expected, atol=1e-6)


def test_a_box_leaves_pixels_without_data_out() -> None:
    data = np.ones((3, 9, 9), np.float32)
    data[:, 4, 4] = -9999
    data[1, 2:7, 2:7] = -9999
    found = interpolate(Cube.from_array(data, nodata=-9999), (4.0, 4.0), 3)
    np.testing.assert_array_equal(found, [1, np.nan, 1])


def test_a_box_covers_the_same_ground_in_the_refined_cube(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[0].number, desk.result()))
    plan = plan_readout(session, world_at(session.frames[0], (9.0, 11.0)), 3)
    assert plan is not None
    readout = plan.read()
    assert readout.refined is not None
    np.testing.assert_allclose(readout.refined.values, (9, 11), atol=1e-5)
    np.testing.assert_allclose(readout.refined.std, 0.5)
    np.testing.assert_allclose(readout.frames[0].values, (9, 11), atol=1e-5)
    corner = plan_readout(session, world_at(session.frames[0], (0.0, 0.0)), 3)
    assert corner is not None
    found = corner.read().refined
    assert found is not None
    np.testing.assert_allclose(found.values, (0.5, 0.5), atol=1e-5)  # rows 0 and 1 are all there is


def test_a_brief_readout_reads_no_more_than_one_curve(desk) -> None:
    session = desk.session
    session.set_pin(world_at(session.frames[0], (9.0, 11.0)))
    before = plan_readout(session, brief=True)
    assert before is not None
    assert [name for name, _, _ in before.frames] == ["frame 0"]
    assert before.read().main is not None
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[0].number, desk.result(View(4, 10, 4, 14))))
    after = plan_readout(session, brief=True)
    assert after is not None
    assert after.frames == ()
    main = after.read().main
    assert main is not None
    assert main.label == "refined"
    outside = plan_readout(session, world_at(session.frames[0], (20.0, 5.0)), brief=True)
    assert outside is not None
    assert outside.read().main.label == "frame 0"  # type: ignore[union-attr]


def test_a_reference_with_other_bands_than_the_result_is_read_alone(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[0].number, desk.result()))
    other = Cube.from_array(np.ones((5, H, W), np.float32), name="other")
    data, attributes, _ = frame_layer(other)
    session.choose_reference(desk.viewer.add_image(data, **attributes))
    session.set_pin((8.0, 9.0))
    plan = plan_readout(session)
    assert plan is not None
    readout = plan.read()
    assert (readout.refined, len(readout.bad)) == (None, 5)
    reading = Reading(((Pin(1, (8.0, 9.0)), readout),))
    assert [each.curve.label for each in curves_of(reading, Way.VALUES)] == ["other"]

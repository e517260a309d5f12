"""Regions hold the same ground in every image, wherever their layer lies; its ramps tell where that is."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import StackError
from hsimisr.geometry import Grid, View, translation
from hsimisr.physics.types import FrameMotion
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr.places import Place, place_of, place_of_grid
from napari_hsimisr.readout import Readout
from napari_hsimisr.regions import Labelled, plan_region, region_of
from napari_hsimisr.view import world_at

H, W = 24, 20
CORNERS = ((3.5, 4.5), (3.5, 9.5), (10.5, 9.5), (10.5, 4.5))
"""Around the pixels of rows 4 to 10 and columns 5 to 9."""
SCALES = [(1, 1, 1), (1, 2.5, 2.5), (1, 30, 20)]


def draw(desk, shape_type: str = "polygon", corners=CORNERS):
    """A shape around pixels of the first frame."""
    world = [world_at(desk.session.frames[0], corner) for corner in corners]
    return desk.viewer.add_shapes([np.array(world)], shape_type=shape_type, name="field")


def read(desk, layer) -> Readout:
    plan = plan_region(desk.session, layer)
    assert plan is not None
    return plan.read()


@pytest.mark.parametrize("scale", SCALES)
def test_mean_and_spread_of_a_polygon(new_desk, scale) -> None:
    desk = new_desk(scale)
    found = read(desk, draw(desk))
    rows, columns = np.mgrid[4:11, 5:10].reshape(2, -1)
    assert found.main is not None
    np.testing.assert_allclose(found.main.values, (rows.mean(), columns.mean()), atol=1e-5)
    np.testing.assert_allclose(found.main.std, (rows.std(ddof=1), columns.std(ddof=1)), rtol=1e-6)
    assert found.main.count == 35
    np.testing.assert_allclose(found.point, (7, 7))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("view", [None, View(2, 20, 3, 15)])
def test_the_refined_cube_is_read_on_its_own_pixels(new_desk, scale, view) -> None:
    desk = new_desk(scale)
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[0].number, desk.result(view)))
    found = read(desk, draw(desk))
    assert found.refined is not None
    assert found.refined.count == 4 * 35
    np.testing.assert_allclose(found.refined.values, (7, 7), atol=1e-4)  # LR coordinates of HR pixels average to it
    assert found.baseline is not None


def test_another_reference_reads_the_region_through_its_motion(new_desk) -> None:
    desk = new_desk((1, 2.5, 2.5))
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[0].number, desk.result(View(15, 20, 12, 16))))
    desk.session.choose_reference(desk.session.frames[1])
    found = read(desk, draw(desk, corners=np.add(CORNERS, 0.1)))
    # the second frame shows the ground 1.5 rows further down and 2.25 columns to the left, on other pixel centres
    assert found.measured is not None
    values = found.measured.values
    np.testing.assert_allclose(values, (7, 7), atol=0.5)
    rows, columns = np.mgrid[:H, :W].astype(float)
    y, x = rows - 1.5, columns + 2.25
    inside = (y > 3.6) & (y < 10.6) & (x > 4.6) & (x < 9.6)
    np.testing.assert_allclose(values, (y[inside].mean(), x[inside].mean()), atol=1e-4)


@pytest.mark.parametrize("finer", [1, 2])
@pytest.mark.parametrize("planes", [0, 1, 2])
def test_labels_lie_where_their_layer_lies(new_desk, finer: int, planes: int) -> None:
    desk = new_desk((1, 30, 20))
    frame = desk.session.frames[0]
    grid = Grid(finer, (2, 3), (20 * finer, 16 * finer))
    labels = np.zeros((*[2] * min(planes, 1), *grid.shape), np.uint8)
    part = (slice(2 * finer, 9 * finer), slice(2 * finer, 7 * finer))  # rows 4 to 10, columns 5 to 9 of the frame
    labels[(-1, *part) if planes else part] = 3
    to_world = np.linalg.inv(place_of_grid(grid, frame).from_world)
    affine = np.eye(labels.ndim + 1)
    affine[-3:, -3:] = to_world
    layer = desk.viewer.add_labels(labels, affine=affine)
    layer.selected_label = 3
    found = read(desk, layer)
    assert found.main is not None
    assert found.main.count == 35
    np.testing.assert_allclose(found.main.values, (7, 7), atol=1e-5)
    layer.selected_label = 4
    with pytest.raises(StackError, match="holds the centre of no pixel"):
        read(desk, layer)


def test_labels_seen_through_a_turned_frame_match_a_loop() -> None:
    angle = np.radians(20)
    matrix = translation((2.0, -3.0))
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    place = Place(np.eye(3), FrameMotion(matrix))
    labels = np.zeros((30, 30), int)
    labels[8:17, 10:21] = 2
    found = Labelled("labels", labels, 2, Place(np.eye(3))).pixels(place, (25, 26))
    assert found is not None
    view, mask = found
    whole = np.zeros((25, 26), bool)
    whole[view.y0 : view.y1, view.x0 : view.x1] = mask
    inverse = np.linalg.inv(matrix)
    for y in range(25):
        for x in range(26):
            row, column, _ = inverse @ (y, x, 1)
            assert whole[y, x] == (7.5 <= row <= 16.5 and 9.5 <= column <= 20.5)


def test_an_ellipse_and_a_rectangle(desk) -> None:
    assert read(desk, draw(desk, "rectangle")).main.count == 35  # type: ignore[union-attr]
    found = read(desk, draw(desk, "ellipse", ((2, 2), (2, 16), (18, 16), (18, 2))))
    rows, columns = np.mgrid[:H, :W]
    inside = ((rows - 10) / 8) ** 2 + ((columns - 9) / 7) ** 2 < 1
    assert found.main is not None
    assert found.main.count == pytest.approx(inside.sum(), rel=0.05)  # 64 corners lose 0.2 % of the area, and ties
    np.testing.assert_allclose(found.main.values, (10, 9), atol=0.2)


def test_the_selected_shape_counts_else_the_last(desk) -> None:
    layer = draw(desk)
    layer.add(np.add(CORNERS, (7 + 5, -3 - 2)), shape_type="polygon")
    layer.selected_data = set()
    assert region_of(layer).name == "field, polygon 2"
    layer.selected_data = {0}
    assert region_of(layer).name == "field, polygon 1"


def test_what_encloses_nothing_is_explained(desk) -> None:
    empty = desk.viewer.add_shapes(name="empty", ndim=2)
    with pytest.raises(StackError, match="empty: holds no shape yet"):
        region_of(empty)
    with pytest.raises(StackError, match="line encloses no pixels"):
        region_of(draw(desk, "line", CORNERS[:2]))
    outside = draw(desk, "polygon", np.add(CORNERS, 100))
    with pytest.raises(StackError, match="holds the centre of no pixel"):
        read(desk, outside)


def test_places_go_there_and_back(new_desk) -> None:
    desk = new_desk((1, 30, 20))
    frame, points = desk.session.frames[0], np.array([[0.0, 0.0], [3.25, 17.5]])
    place = place_of(frame)
    np.testing.assert_allclose(place.world(points), [world_at(frame, tuple(point)) for point in points])
    np.testing.assert_allclose(place.pixels(place.world(points)), points, atol=1e-12)
    field = np.full((2, H, W), 0.25, np.float32)
    moved = Place(place.from_world, FrameMotion(translation((1, 2)), field=field))
    np.testing.assert_allclose(moved.pixels(moved.world(points)), points, atol=1e-9)

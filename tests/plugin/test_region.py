"""A drawn region is the rectangle around the selected shape, in whole pixels of the reference, wherever layers lie."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr.region import begin_region, drawn_region, shapes_layer
from napari_hsimisr.view import world_at


def rectangle(y0: float, x0: float, y1: float, x1: float) -> np.ndarray:
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def on_frame(frame, corners: np.ndarray) -> np.ndarray:
    """World positions of points in pixels of a frame."""
    return np.array([world_at(frame, (y, x)) for y, x in corners])


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 30, 20)])
def test_pixels_that_are_partly_inside_belong_to_it(new_desk, scale) -> None:
    desk = new_desk(scale)
    frame = desk.session.frames[0]
    desk.viewer.add_shapes([on_frame(frame, rectangle(3.4, 2.6, 9.6, 8.0))])
    assert drawn_region(desk.viewer, frame) == View(3, 11, 3, 9)


def test_edges_on_edges_of_pixels_take_no_neighbour_along(new_desk) -> None:
    desk = new_desk((1, 0.3, 0.7))
    frame = desk.session.frames[0]
    desk.viewer.add_shapes([on_frame(frame, rectangle(3.5, 2.5, 9.5, 7.5))])
    assert drawn_region(desk.viewer, frame) == View(4, 10, 3, 8)


def test_the_transforms_of_both_layers_count(new_desk) -> None:
    desk = new_desk((1, 2, 2))
    frame = desk.session.frames[0]
    frame.affine = np.array([[1, 0, 0, 0], [0, 0, -1, 40], [0, 1, 0, 0], [0, 0, 0, 1.0]])  # turned by 90 degrees
    corners = on_frame(frame, rectangle(2.0, 4.0, 6.0, 7.0))
    desk.viewer.add_shapes([(corners - (5, 1)) / 4], scale=(4, 4), translate=(5, 1))
    assert drawn_region(desk.viewer, frame) == View(2, 7, 4, 8)


def test_a_shape_drawn_on_one_band_counts_for_all(desk) -> None:
    frame = desk.session.frames[0]
    flat = on_frame(frame, rectangle(2.0, 4.0, 6.0, 7.0))
    desk.viewer.add_shapes([np.column_stack([np.ones(4), flat])])
    assert drawn_region(desk.viewer, frame) == View(2, 7, 4, 8)


def test_it_is_cut_to_the_frame(desk) -> None:
    frame = desk.session.frames[0]
    layer = desk.viewer.add_shapes([on_frame(frame, rectangle(-9, -9, 4, 100))])
    assert drawn_region(desk.viewer, frame) == View(0, 5, 0, 20)
    layer.data = [on_frame(frame, rectangle(100, 100, 104, 104))]
    with pytest.raises(ConfigError, match="beside frame 0"):
        drawn_region(desk.viewer, frame)


def test_of_several_shapes_the_selected_one_is_meant(desk) -> None:
    frame = desk.session.frames[0]
    shapes = [on_frame(frame, rectangle(k, k, k + 2, k + 2)) for k in (1, 5)]
    layer = desk.viewer.add_shapes(shapes)
    with pytest.raises(ConfigError, match="select the one"):
        drawn_region(desk.viewer, frame)
    layer.selected_data = {1}
    assert drawn_region(desk.viewer, frame) == View(5, 8, 5, 8)
    layer.selected_data = {0, 1}
    assert drawn_region(desk.viewer, frame) == View(1, 8, 1, 8)


def test_without_a_shape_a_layer_waits_for_a_rectangle(new_desk) -> None:
    desk = new_desk((1, 30, 20))
    frame = desk.session.frames[0]
    with pytest.raises(ConfigError, match="draw a rectangle"):
        drawn_region(desk.viewer, frame)
    layer = begin_region(desk.viewer, frame)
    assert layer is begin_region(desk.viewer, frame) is shapes_layer(desk.viewer)
    assert layer.mode == "add_rectangle"
    assert (tuple(layer.scale), layer.units) == ((30, 20), frame.units[-2:])
    layer.add_rectangles(rectangle(2.0, 4.0, 6.0, 7.0))
    assert drawn_region(desk.viewer, frame) == View(2, 7, 4, 8).clipped((24, 20))


def test_a_region_is_a_job_of_its_own_that_no_view_drops(desk) -> None:
    session = desk.session
    desk.viewer.canvas.size = (300, 400)
    region = View(2, 10, 3, 9)
    session.refine(PipelineConfig(), whole=False, region=region)
    session.refine(PipelineConfig(), whole=False)
    first, view = desk.jobs
    assert (first.kind, first.view, view.kind) == ("region", region, "view")
    session.handle(Finished(first.number, desk.result(region)))
    assert session.estimate.grid.view == region
    assert "region 2:10,3:9 refined" in desk.statuses[-1].text
    assert session.busy

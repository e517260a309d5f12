"""Maps lie exactly on the reference frame, keep what the user sets, and hide while they tell of something else."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import Grid, View, apply_motion, translation
from hsimisr.physics.types import FrameMotion
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr.maps import Map
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.quality_layers import ANGLE, ERROR, QualityLayers
from napari_hsimisr.view import world_at

VIEW = View(4, 10, 6, 16)


@pytest.fixture
def layers(desk) -> QualityLayers:
    return QualityLayers(desk.viewer)


def show(layers: QualityLayers, desk, shown: Map, about: object = None, limits=(0.0, 1.0)) -> None:
    reference = desk.session.frames[0]
    layers.show_map(ANGLE, shown, reference, "angle", about=about, limits=limits, colormap="inferno")


def test_every_grid_lies_on_the_reference_however_that_is_placed(new_desk) -> None:
    desk = new_desk((1, 30, 20))
    layers, frame = QualityLayers(desk.viewer), desk.session.frames[0]
    frame.affine = np.array([[1, 0, 0, 0], [0, 0.9, 0.1, 5], [0, -0.1, 0.9, 2], [0, 0, 0, 1]])
    turned = translation((0.4, -1.3)) @ np.array([[1.004, 0.01, 0.0], [-0.01, 0.997, 0.0], [0, 0, 1]])
    points = np.array([[0.0, 0.0], [3.0, 7.5]])
    on_lr = VIEW.origin + points
    cases = [
        (Map.on_view(np.zeros((6, 10)), VIEW), on_lr),
        (Map.on_grid(np.zeros((18, 30)), Grid.of_view(VIEW, 3)), VIEW.origin + (points + 0.5) / 3 - 0.5),
        (Map.on_frame(np.zeros((6, 10)), VIEW, FrameMotion(turned)), apply_motion(np.linalg.inv(turned), on_lr)),
    ]
    for shown, ground in cases:
        show(layers, desk, shown)
        layer = layers.find(ANGLE)
        for point, expected in zip(points, ground, strict=True):
            np.testing.assert_allclose(layer.data_to_world(point), world_at(frame, expected))


def test_a_perspective_is_met_at_the_middle_of_the_window() -> None:
    motion = np.array([[1.0, 0.01, 0.4], [-0.01, 1.0, -1.3], [2e-4, -1e-4, 1.0]])
    shown = Map.on_frame(np.zeros((6, 10)), VIEW, FrameMotion(motion))
    np.testing.assert_allclose(shown.to_reference[2], (0, 0, 1))
    ground = (shown.to_reference @ (3, 5, 1))[:2]
    np.testing.assert_allclose(apply_motion(motion, ground), np.add(VIEW.origin, (3, 5)))


def test_maps_follow_the_reference(desk, layers: QualityLayers) -> None:
    show(layers, desk, Map.on_view(np.zeros((6, 10)), VIEW))
    desk.session.frames[0].translate = (0, 100, 200)
    layers.follow()
    np.testing.assert_allclose(layers.find(ANGLE).data_to_world((0, 0)), (104, 206))


def test_limits_that_a_person_sets_stay_until_the_map_is_about_something_else(desk, layers: QualityLayers) -> None:
    show(layers, desk, Map.on_view(np.zeros((6, 10)), VIEW), about="truth")
    layer = layers.find(ANGLE)
    assert desk.viewer.layers.selection.active is layer
    assert layer.colorbar.visible
    layer.contrast_limits = (0.2, 0.4)
    desk.viewer.layers.selection.active = desk.session.frames[0]
    show(layers, desk, Map.on_view(np.ones((6, 10)), VIEW), about="truth", limits=(0.0, 9.0))
    assert layers.find(ANGLE) is layer
    assert layer.data.max() == 1
    assert layer.contrast_limits == [0.2, 0.4]
    assert desk.viewer.layers.selection.active is desk.session.frames[0]
    show(layers, desk, Map.on_view(np.ones((6, 10)), VIEW), about="pin", limits=(0.0, 9.0))
    assert layer.contrast_limits == [0.0, 9.0]


def test_maps_put_away_come_back_with_the_next_one_and_hidden_ones_stay_hidden(desk, layers: QualityLayers) -> None:
    shown = Map.on_view(np.zeros((6, 10)), VIEW)
    show(layers, desk, shown)
    layers.put_away(ANGLE, ERROR)
    assert not layers.find(ANGLE).visible
    show(layers, desk, shown)
    assert layers.find(ANGLE).visible
    layers.find(ANGLE).visible = False  # by hand
    layers.put_away(ANGLE)
    show(layers, desk, shown)
    assert not layers.find(ANGLE).visible


def test_a_map_lies_above_the_refined_cube_also_when_that_comes_later(desk, layers: QualityLayers) -> None:
    shown = Map.on_view(np.zeros((6, 10)), VIEW)
    show(layers, desk, shown)
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[-1].number, desk.result()))
    show(layers, desk, shown)
    order = desk.viewer.layers
    refined = desk.session.overlays.find(REFINED)
    assert order.index(layers.find(ANGLE)) > order.index(refined)
    order.selection.active = layers.find(ANGLE)
    layers.remove(ANGLE)
    assert order.selection.active is refined

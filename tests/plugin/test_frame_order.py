"""Frames change places with each other; the layers between them stay where they are."""

from __future__ import annotations

import numpy as np

from hsimisr.cube import Cube
from napari_hsimisr.frame_order import move_frame
from napari_hsimisr.layers import PRODUCT, frame_layer


def test_frames_change_places_and_other_layers_stay(desk) -> None:
    viewer, session = desk.viewer, desk.session
    viewer.add_image(np.zeros((2, 4, 4)), name="map", metadata={PRODUCT: "map"})
    data, attributes, _ = frame_layer(Cube.from_array(np.ones((2, 24, 20)), name="frame 2"))
    last = viewer.add_image(data, **attributes)
    names = lambda: [layer.name for layer in viewer.layers]  # noqa: E731
    assert names() == ["frame 0", "frame 1", "map", "frame 2"]

    move_frame(session, last, -1)
    assert names() == ["frame 0", "frame 2", "map", "frame 1"]
    assert [layer.name for layer in session.frames] == ["frame 0", "frame 2", "frame 1"]
    move_frame(session, last, 1)
    assert names() == ["frame 0", "frame 1", "map", "frame 2"]


def test_the_first_and_the_last_frame_go_no_further(desk) -> None:
    first, last = desk.session.frames
    move_frame(desk.session, first, -1)
    move_frame(desk.session, last, 1)
    assert desk.session.frames == [first, last]

"""Arrows start on the reference and point to where its content stands in the frame."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion
from napari_hsimisr.arrows import motion_arrows

SHAPE = (24, 36)


def test_a_shift_is_drawn_itself_longer_by_the_factor() -> None:
    arrows = motion_arrows(FrameMotion(translation((0.02, -0.05))), SHAPE)
    assert arrows is not None
    assert not arrows.relative
    np.testing.assert_allclose(
        arrows.data[:, 1] / arrows.factor, np.broadcast_to((0.02, -0.05), arrows.data[:, 1].shape)
    )
    longest, spacing = np.hypot(*arrows.data[:, 1].T).max(), 36 / 12
    assert 0.9 * spacing / 2.5 <= longest <= 0.9 * spacing


def test_a_turn_is_drawn_about_its_median() -> None:
    matrix = translation((5.0, 7.0))
    matrix[0, 1], matrix[1, 0] = 0.01, -0.01
    arrows = motion_arrows(FrameMotion(matrix), SHAPE)
    assert arrows is not None
    assert arrows.relative
    np.testing.assert_allclose(np.median(arrows.data[:, 1], axis=0), 0, atol=1e-9)
    right = arrows.data[arrows.data[:, 0, 1].argmax()]
    assert right[1, 0] > 0  # content on the right goes down


def test_arrows_start_all_over_the_reference() -> None:
    arrows = motion_arrows(FrameMotion(translation((1, 1))), SHAPE)
    assert arrows is not None
    starts = arrows.data[:, 0]
    assert len(starts) == 8 * 12
    np.testing.assert_allclose(starts.mean(0), (np.array(SHAPE) - 1) / 2)


@pytest.mark.parametrize("motion", [FrameMotion(np.eye(3)), FrameMotion(np.eye(3), field=np.full((2, *SHAPE), 0.5))])
def test_where_nothing_moves_there_is_no_arrow(motion) -> None:
    assert motion_arrows(motion, SHAPE) is None

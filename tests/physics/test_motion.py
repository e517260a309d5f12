"""Motion with a local field: forth and back, and between and beyond the pixels that the field is given at."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.geometry import translation
from hsimisr.physics.motion import forward_motion, invert_motion
from hsimisr.physics.types import FrameMotion


@pytest.fixture
def motion():
    y, x = np.indices((12, 15)) / 15
    field = 0.4 * np.stack([np.sin(2 * y + x), np.cos(y - 3 * x)])
    affine = translation((0.7, -1.3))
    affine[0, 1] = 0.01
    return FrameMotion(affine, field=field.astype(np.float32))


def test_back_and_forth_is_where_it_began(motion):
    """The fixed point contracts by the field's slope, below 0.4 * 3 / 15 a round: 20 rounds leave less than 1e-21."""
    points = np.random.default_rng(0).uniform(0, 12, (4, 5, 2))
    assert forward_motion(motion, invert_motion(motion, points)) == pytest.approx(points, abs=1e-12)
    assert invert_motion(motion, forward_motion(motion, points)) == pytest.approx(points, abs=1e-12)


def test_the_field_adds_to_the_matrix_at_its_pixels_and_between_them(motion):
    rigid = FrameMotion(motion.matrix)
    for point, local in (
        ((3, 4), motion.field[:, 3, 4]),
        ((3, 4.25), 0.75 * motion.field[:, 3, 4] + 0.25 * motion.field[:, 3, 5]),
        ((-2, 99), motion.field[:, 0, -1]),
    ):
        assert forward_motion(motion, point) - forward_motion(rigid, point) == pytest.approx(local, abs=1e-6)

"""A frame predicted in numpy is what the solver's operator makes of the same image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import Grid, View, translation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import canvas_offset, operator_for
from hsimisr.physics.prediction import INSIDE, Prediction, predict, window_of
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import Estimate, FrameMotion, Subspace

SHAPE, ORIGIN, FRAME = (26, 31), (3, 5), (60, 60)
TOP = 0.7
"""Cycles per LR pixel; beyond the Nyquist frequency of the frames, 0.5, so that they show some of it aliased."""
BORDER = 0.005
"""Part of the image's contrast that may differ: both ways continue the image by its mirror image, but not equally far,
and what rings at that kink reaches inside by a PSF that is no narrower than the band allows."""


def waves(scale: int) -> np.ndarray:
    """Two images ``(2, s h, s w)`` of plane waves that are not periodic in them."""
    rng = np.random.default_rng(scale)
    y, x = ((np.arange(n * scale) + 0.5) / scale + o for n, o in zip(SHAPE, ORIGIN, strict=True))
    images = np.zeros((2, len(y), len(x)))
    for fy, fx, phase in zip(*rng.uniform(-TOP, TOP, (2, 12)), rng.uniform(0, 6.28, (12, 2)), strict=True):
        images += np.cos(2 * np.pi * (fy * y[:, None] + fx * x) + phase[:, None, None])
    return images.astype(np.float32)


def estimate_of(mean: np.ndarray, scale: int) -> Estimate:
    subspace = Subspace(np.array([10.0, 20.0]), np.array([0.5, 2.0]), np.eye(2), np.ones(2), np.zeros(2, bool))
    return Estimate(mean=mean, subspace=subspace, grid=Grid(scale, ORIGIN, (SHAPE[0] * scale, SHAPE[1] * scale)))


def predicted(estimate: Estimate, motion: FrameMotion, psf: str = "mtf:0.29") -> Prediction:
    window = window_of(motion, estimate.grid.view, FRAME)
    assert window is not None
    return predict(estimate, motion, psf, window)


def by_operator(estimate: Estimate, motion: FrameMotion, psf: str, window: View) -> np.ndarray:
    """The same window from the solver's operator, on a canvas on which the image is continued by its mirror image."""
    view, s, margin = estimate.grid.view, estimate.grid.scale, 10
    canvas = Canvas.around(view, margin, s)
    after = [n - v - margin for n, v in zip(canvas.shape, view.shape, strict=True)]
    image = torch.from_numpy(np.pad(estimate.mean, [(0, 0), *((margin * s, a * s) for a in after)], mode="reflect"))
    offset = canvas_offset(motion, canvas)
    operator = operator_for(canvas, Psf.parse(psf), [motion], offset[None], torch.device("cpu"))
    frame = operator.forward(canvas.to_spectrum(image))[0].numpy()
    y, x = np.array(window.origin) - offset - canvas.origin
    return frame[:, y : y + window.shape[0], x : x + window.shape[1]]


def motions() -> dict[str, FrameMotion]:
    turned = translation((0.4, -1.3)) @ np.array([[1.004, 0.01, 0.0], [-0.01, 0.997, 0.0], [0, 0, 1]])
    rows, columns = np.mgrid[: FRAME[0], : FRAME[1]] / FRAME[0]
    field = 0.3 * np.stack([np.sin(5 * rows), np.cos(4 * columns)]).astype(np.float32)
    return {
        "none": FrameMotion(np.eye(3)),
        "shift": FrameMotion(translation((1.3, -2.4))),
        "affine": FrameMotion(turned),
        "local": FrameMotion(translation((0.4, 0.7)), field=field),
    }


@pytest.mark.parametrize("motion", motions().values(), ids=motions().keys())
@pytest.mark.parametrize(("scale", "psf"), [(2, "mtf:0.29"), (2, "box"), (3, "gauss:1.2,0.9,30")])
def test_a_prediction_is_what_the_operator_makes_of_the_image(scale: int, psf: str, motion: FrameMotion) -> None:
    estimate = estimate_of(waves(scale), scale)
    found = predicted(estimate, motion, psf)
    expected = by_operator(estimate, motion, psf, found.window)
    error = (found.coefficients - expected)[:, found.known]
    assert found.known.mean() > 0.6
    assert np.sqrt((error**2).mean()) < BORDER * expected.std()


def test_bands_hold_the_gain_the_offset_and_what_lies_outside_of_the_subspace() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    estimate = replace(estimate_of(np.zeros((2, 2 * SHAPE[0], 2 * SHAPE[1]), np.float32), 2), residual=np.stack([y, x]))
    motion = FrameMotion(translation((1.25, -2.5)), gain=1.5, offset=np.array([100.0, 200.0]))
    found = predicted(estimate, motion)
    rows = slice(4, 9)
    bands = found.bands(np.array([0, 1]), rows)
    ground = np.moveaxis(found.ground[rows], -1, 0) - np.array(ORIGIN)[:, None, None]
    mean, offset = (np.array(values)[:, None, None] for values in ((10.0, 20.0), motion.offset))
    expected = 1.5 * (mean + ground) + offset
    inner = found.known[rows]
    np.testing.assert_allclose(bands[:, inner], expected[:, inner], rtol=1e-5)
    np.testing.assert_array_equal(found.bands(np.array([1]), rows)[0], bands[1])


def test_pixels_that_would_see_beyond_the_result_or_what_nobody_measured_are_not_known() -> None:
    estimate = estimate_of(waves(2), 2)
    whole = predicted(estimate, FrameMotion(translation((1.3, -2.4))))
    place = whole.ground - np.array(ORIGIN)
    inside = ((place > INSIDE - 0.5) & (place < np.array(SHAPE) - 0.5 - INSIDE)).all(-1)
    np.testing.assert_array_equal(whole.known, inside)
    measured = np.ones(SHAPE, bool)
    measured[10, 12] = False
    holed = predicted(replace(estimate, measured=measured), whole.motion)
    ((y, x),) = np.argwhere(whole.known & ~holed.known)
    np.testing.assert_allclose(holed.ground[y, x], np.add((10, 12), ORIGIN), atol=0.5)


def test_a_frame_that_shows_nothing_of_the_view_has_no_window() -> None:
    view = View(3, 29, 5, 36)
    assert window_of(FrameMotion(translation((100, 0))), view, FRAME) is None
    assert window_of(FrameMotion(translation((-10, 40))), view, FRAME) == View(0, 19, 45, 60)

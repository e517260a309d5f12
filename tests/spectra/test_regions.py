"""Which pixels a region holds, and the moments of their spectra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsimisr.spectra.moments import Moments
from hsimisr.spectra.polygon import pixels_inside


def by_loop(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Even-odd rule pixel by pixel, by a ray to the left."""
    inside = np.zeros(shape, bool)
    for y in range(shape[0]):
        for x in range(shape[1]):
            for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                    inside[y, x] = ~inside[y, x]
    return inside


def whole(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    found = pixels_inside(corners, shape)
    mask = np.zeros(shape, bool)
    if found is not None:
        view, part = found
        mask[view.y0 : view.y1, view.x0 : view.x1] = part
    return mask


@given(arrays(float, st.tuples(st.integers(3, 9), st.just(2)), elements=st.integers(-24, 64).map(lambda n: n / 4)))
def test_pixels_inside_a_polygon_agree_with_a_loop(corners: np.ndarray) -> None:
    np.testing.assert_array_equal(whole(corners, (11, 8)), by_loop(corners, (11, 8)))


def test_neighbouring_regions_share_no_pixel_and_leave_none_out() -> None:
    left = np.array([[0, 0], [6, 0], [6, 4], [0, 4]], float)
    right = left + np.array([0, 4])
    assert not (whole(left, (6, 8)) & whole(right, (6, 8))).any()
    assert (whole(left, (6, 8)) | whole(right, (6, 8))).all()


def test_a_rectangle_around_pixels_holds_them() -> None:
    view, mask = pixels_inside(np.array([[1.5, 2.5], [1.5, 5.5], [4.5, 5.5], [4.5, 2.5]]), (20, 20))  # type: ignore[misc]
    assert mask.sum() == 9
    assert str(view) == "2:5,3:6"
    assert pixels_inside(np.array([[-9.0, -9], [-9, -5], [-5, -5]]), (20, 20)) is None
    assert pixels_inside(np.array([[2.2, 2.2], [2.2, 2.8], [2.8, 2.8]]), (20, 20)) is None


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_moments_agree_with_numpy_however_they_are_cut(parts: int) -> None:
    spectra = np.random.default_rng(0).normal(1000, 0.5, (4, 40)).astype(np.float32)
    spectra[1, 3:9] = np.nan
    spectra[2, :] = np.nan
    spectra[3, 1:] = np.nan
    moments = Moments(4)
    for part in np.array_split(spectra, parts, axis=1):
        moments.add(part)
    with np.errstate(invalid="ignore"):
        exact = spectra.astype(float)
        mean = [np.nanmean(exact[b]) if np.isfinite(exact[b]).any() else np.nan for b in range(4)]
        std = [np.nanstd(exact[b], ddof=1) if np.isfinite(exact[b]).sum() > 1 else np.nan for b in range(4)]
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(moments.std, std, rtol=1e-9)  # values of 1000 spread by 0.5: 2000 roundings of 2e-16
    assert moments.count.tolist() == [40, 34, 0, 1]

"""Pictures are what another library reads."""

from __future__ import annotations

import io

import numpy as np
import pytest

from hsimisr.report.png import as_url, encode


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1, 4), (64, 33, 3)])
def test_another_library_reads_the_same_pixels(shape: tuple[int, ...]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(encode(pixels)))), pixels)


def test_a_picture_fits_into_a_page() -> None:
    assert as_url(np.zeros((2, 2), np.uint8)).startswith("data:image/png;base64,iVBORw0KGgo")

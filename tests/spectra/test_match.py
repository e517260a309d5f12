"""Angles to a library against a plain loop, over the bands that both have."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import spectral

from hsimisr.cube import Cube
from hsimisr.spectra.match import angles, best_matches, brightness
from hsimisr.spectra.open import open_library
from hsimisr.spectra.resample import resample


def by_loop(a: np.ndarray, b: np.ndarray) -> float:
    """The textbook's arc cosine, band by band."""
    product = length_a = length_b = 0.0
    for p, q in zip(a, b, strict=True):
        if math.isfinite(p) and math.isfinite(q) and p != 0 and q != 0:
            product, length_a, length_b = product + p * q, length_a + p * p, length_b + q * q
    return math.degrees(math.acos(product / math.sqrt(length_a * length_b)))


@pytest.fixture
def entries() -> np.ndarray:
    entries = np.random.default_rng(3).uniform(0.1, 1, (20, 30))
    entries[3, 4:9] = np.nan
    entries[5, 10] = 0
    return entries


def test_angles_agree_with_a_loop_over_the_common_bands(entries: np.ndarray) -> None:
    spectrum = np.random.default_rng(4).uniform(0.1, 1, 30)
    spectrum[[0, 7]] = np.nan, 0
    found, bands = angles(spectrum, entries)
    # the loop's arc cosine loses digits as eps / sin(angle); these angles are tens of degrees
    np.testing.assert_allclose(found, [by_loop(spectrum, entry) for entry in entries], rtol=1e-12)
    assert bands[0] == 28
    assert bands[3] == 24
    assert bands[5] == 27
    whole = entries[6:]
    full = np.nan_to_num(spectrum, nan=0.5) + 0.1
    image = full[None, None].astype(float)
    np.testing.assert_allclose(
        np.degrees(spectral.spectral_angles(image, whole)[0, 0]), angles(full, whole)[0], rtol=1e-10
    )


def test_matches_are_sorted_and_brightness_does_not_count(entries: np.ndarray) -> None:
    spectrum = 250 * entries[8]
    found = best_matches(spectrum, entries, count=4)
    assert (found[0].entry, found[0].bands) == (8, 30)
    # the difference of two unit vectors carries one rounding per component
    assert found[0].angle < math.degrees(2 * math.sqrt(30) * 2.3e-16)
    assert [match.angle for match in found] == sorted(match.angle for match in found)
    assert len(found) == 4
    assert brightness(spectrum, entries[8]) == pytest.approx(250, rel=1e-12)


def test_entries_that_share_too_little_are_left_out(entries: np.ndarray) -> None:
    sparse = np.full((3, 30), np.nan)
    sparse[0, 0] = 1.0
    sparse[1, :3] = entries[0, :3]
    found, bands = angles(entries[0], sparse)
    assert np.isnan(found).tolist() == [True, False, True]
    assert bands.tolist() == [1, 3, 0]
    matches = best_matches(entries[0], np.concatenate([entries, sparse]), count=99)
    assert matches[0].entry == 0
    assert {20, 21, 22}.isdisjoint({match.entry for match in matches})
    assert best_matches(np.full(30, np.nan), entries) == []
    assert math.isnan(brightness(entries[0], np.zeros(30)))


def test_brightness_is_the_least_squares_factor(entries: np.ndarray) -> None:
    spectrum = np.random.default_rng(5).uniform(0.1, 1, 30)
    expected = np.linalg.lstsq(entries[0][:, None], spectrum, rcond=None)[0][0]
    assert brightness(spectrum, entries[0]) == pytest.approx(expected, rel=1e-12)


def test_vegetation_in_a_satellite_image_is_found_as_vegetation(shared_data: Path) -> None:
    """EnMAP over Potsdam against the urban library of Berlin: two sensors, one region."""
    from hsimisr.io.open import open_cube

    cube: Cube = open_cube(shared_data / "scenes" / "enmap-potsdam.tif")
    library = open_library(shared_data / "speclib" / "library_berlin.sli")
    assert cube.wavelengths is not None
    entries = resample(library, cube.wavelengths, cube.fwhm)
    values = cube.read()
    red, infrared = (int(np.nanargmin(abs(cube.wavelengths - centre))) for centre in (665, 842))
    y, x = np.unravel_index(np.nanargmax(values[infrared] - values[red]), cube.shape_yx)
    best = best_matches(values[:, y, x].astype(float), entries, count=3)
    green = ("grass", "tree", "sunflower", "corn", "sorghum", "sugarbeet", "potatoes", "turf")
    assert all(any(word in library.names[match.entry] for word in green) for match in best)
    assert best[0].angle < best[-1].angle < 15

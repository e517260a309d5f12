"""The continuum against `spectral` and against the definition of a hull."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import spectral
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsimisr.spectra.continuum import continuum, remove_continuum

BANDS = np.array([400.0, 410, 430, 500, 520, 610, 640, 700, 705, 900])


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_spectral(seed: int) -> None:
    spectrum = np.random.default_rng(seed).uniform(0.1, 1, len(BANDS))
    np.testing.assert_allclose(continuum(BANDS, spectrum), spectral.spectral_continuum(spectrum, BANDS), rtol=1e-12)
    np.testing.assert_allclose(
        remove_continuum(BANDS, spectrum), spectral.remove_continuum(spectrum, BANDS), rtol=1e-12
    )


@given(arrays(float, 10, elements=st.floats(0.01, 10)))
def test_it_is_the_lowest_concave_curve_above_the_spectrum(spectrum: np.ndarray) -> None:
    hull = continuum(BANDS, spectrum)
    rounding = 1e-12 * spectrum.max()
    assert (hull >= spectrum - rounding).all()
    slopes = np.diff(hull) / np.diff(BANDS)
    assert (np.diff(slopes) <= rounding).all()
    # the lowest: every value of it is reached by the line through some two bands of the spectrum
    reached = np.full(10, -np.inf)
    for i, j in itertools.combinations(range(10), 2):
        chord = np.interp(BANDS[i : j + 1], BANDS[[i, j]], spectrum[[i, j]])
        reached[i : j + 1] = np.maximum(reached[i : j + 1], chord)
    np.testing.assert_allclose(hull, reached, atol=rounding)


def test_gaps_and_the_order_of_bands_do_not_matter() -> None:
    spectrum = np.random.default_rng(9).uniform(0.1, 1, len(BANDS))
    holed = spectrum.copy()
    holed[[2, 5]] = np.nan
    found = remove_continuum(BANDS, holed)
    keep = np.isfinite(holed)
    np.testing.assert_array_equal(found[keep], remove_continuum(BANDS[keep], spectrum[keep]))
    assert np.isnan(found[~keep]).all()
    order = np.random.default_rng(1).permutation(len(BANDS))
    np.testing.assert_allclose(
        remove_continuum(BANDS[order], spectrum[order]), remove_continuum(BANDS, spectrum)[order]
    )


def test_two_detectors_at_one_wavelength() -> None:
    x, y = np.array([400.0, 500, 500, 600]), np.array([1.0, 0.4, 0.5, 1.0])
    np.testing.assert_allclose(remove_continuum(x, y), [1, 0.4, 0.5, 1])
    x, y = np.array([400.0, 500, 500, 600]), np.array([1.0, 2.0, 1.5, 1.0])
    np.testing.assert_allclose(remove_continuum(x, y), [1, 1, 0.75, 1])


def test_no_continuum_without_positive_values() -> None:
    assert np.isnan(remove_continuum(BANDS, np.full(10, np.nan))).all()
    assert np.isnan(remove_continuum(BANDS, np.full(10, -1.0))).all()

"""A library at a sensor's bands, against brute force and interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.spectra.library import SpectralLibrary
from hsimisr.spectra.resample import FWHM_PER_SIGMA, resample

CENTRES = np.array([455.0, 500.0, 733.3, 1100.0, 1330.0])


def by_brute_force(library: SpectralLibrary, centre: float, fwhm: float) -> np.ndarray:
    """The same integral as a sum over very fine steps within the library's range."""
    fine = np.linspace(library.wavelengths[0], library.wavelengths[-1], 2_000_001)
    weight = np.exp(-0.5 * ((fine - centre) / (fwhm / FWHM_PER_SIGMA)) ** 2)
    values = np.stack([np.interp(fine, library.wavelengths, row) for row in library.values])
    return np.asarray(values @ weight / weight.sum())


@pytest.mark.parametrize("fwhm", [0.5, 8.0, 60.0])
def test_gaussian_bands_are_integrated_exactly(library: SpectralLibrary, fwhm: float) -> None:
    found = resample(library, CENTRES, np.full(5, fwhm))
    expected = np.stack([by_brute_force(library, centre, fwhm) for centre in CENTRES], 1)
    # the sum's own error: step^2 / 12 times the curvature of its Gaussian (1 / sigma^2) and the kinks of the library
    step = np.ptp(library.wavelengths) / 2e6
    np.testing.assert_allclose(found, expected, atol=10 * (step / (fwhm / FWHM_PER_SIGMA)) ** 2 + 1e-7)


def test_narrow_bands_come_to_linear_interpolation(library: SpectralLibrary) -> None:
    linear = resample(library, CENTRES)
    expected = np.stack([np.interp(CENTRES, library.wavelengths, row) for row in library.values])
    np.testing.assert_allclose(linear, expected, rtol=1e-12)
    np.testing.assert_allclose(resample(library, CENTRES, np.full(5, 1e-3)), expected, atol=1e-5)
    np.testing.assert_array_equal(resample(library, CENTRES, np.array([np.nan, 0, -1, np.nan, 0])), linear)


def test_a_straight_spectrum_stays_straight(library: SpectralLibrary) -> None:
    """A symmetric response does not move the values of a line."""
    inner = np.linspace(600, 1200, 7)
    np.testing.assert_allclose(resample(library, inner, np.full(7, 20.0))[1], inner / 700, rtol=1e-9)


def test_beyond_the_library_there_are_no_values(library: SpectralLibrary) -> None:
    centres = np.array([390.0, 400.0, 1400.0, 1401.0, np.nan])
    assert np.isfinite(resample(library, centres)).tolist() == [[False, True, True, False, False]] * 3
    # a Gaussian may reach beyond by half its width
    near = np.array([400 + 4.9, 400 + 5.1, 1400 - 5.1, 1400 - 4.9])
    assert np.isfinite(resample(library, near, np.full(4, 10.0))).tolist() == [[False, True, True, False]] * 3


def test_gaps_of_one_spectrum_are_its_own(library: SpectralLibrary) -> None:
    values = library.values.copy()
    gap = (library.wavelengths > 700) & (library.wavelengths < 760)
    values[0, gap] = np.nan
    holed = SpectralLibrary(library.names, library.wavelengths, values, "holed")
    for fwhm in (None, np.full(5, 10.0)):
        found, whole = resample(holed, CENTRES, fwhm), resample(library, CENTRES, fwhm)
        assert np.isnan(found[0]).tolist() == [False, False, True, False, False]
        np.testing.assert_allclose(np.delete(found, 2, 1), np.delete(whole, 2, 1), rtol=1e-12)
        np.testing.assert_array_equal(found[1:], whole[1:])
    at_its_edge = library.wavelengths[np.flatnonzero(gap)[0] - 1]
    assert np.isfinite(resample(holed, np.array([at_its_edge]))[0, 0])


def test_bands_in_any_order_and_twice(library: SpectralLibrary) -> None:
    order = np.array([3, 0, 4, 0, 1])
    np.testing.assert_array_equal(resample(library, CENTRES[order]), resample(library, CENTRES)[:, order])


def test_a_wavelength_that_is_listed_twice_is_no_fault() -> None:
    library = SpectralLibrary(("a",), np.array([400.0, 500, 500, 600]), np.array([[1.0, 2, 4, 5]]), "twice")
    assert np.isfinite(resample(library, np.array([450.0, 500, 550]), np.full(3, 20.0))).all()
    np.testing.assert_allclose(resample(library, np.array([450.0, 550.0])), [[1.5, 4.5]])


def test_a_single_wavelength_is_known_there_alone() -> None:
    library = SpectralLibrary(("a",), np.array([500.0]), np.array([[2.0]]), "one")
    np.testing.assert_array_equal(resample(library, np.array([499.0, 500.0]), np.full(2, 9.0)), [[np.nan, 2.0]])

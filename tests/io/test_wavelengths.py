"""Wavelengths in nanometres from any unit."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.io.wavelengths import from_band_names, to_nanometres

NM = np.array([400.0, 500.0, 2500.0])


@pytest.mark.parametrize(
    ("factor", "unit"),
    [
        (1, "nm"),
        (1, "Nanometers"),
        (1e-3, "Micrometers"),
        (1e-3, "µm"),
        (1e-3, "microns"),
        (1e-9, "m"),
        (10, "Angstroms"),
    ],
)
def test_declared_units(factor, unit):
    centres, fwhm, notes = to_nanometres(NM * factor, unit, np.full(3, 5.0) * factor)
    np.testing.assert_allclose(centres, NM)
    np.testing.assert_allclose(fwhm, 5)
    assert notes == ()


def test_wavenumbers_convert_centres_and_widths():
    """A band from v - d/2 to v + d/2 covers, to first order, 1e7 d / v^2 nanometres."""
    wavenumbers, width = 1e7 / NM, np.full(3, 2.0)
    centres, fwhm, notes = to_nanometres(wavenumbers, "Wavenumber", width)
    np.testing.assert_allclose(centres, NM)
    exact = 1e7 / (wavenumbers - width / 2) - 1e7 / (wavenumbers + width / 2)
    np.testing.assert_allclose(fwhm, exact, rtol=1e-6)
    assert "wavenumbers" in notes[0]


@pytest.mark.parametrize(("factor", "name"), [(1, "nanometres"), (1e-3, "micrometres")])
@pytest.mark.parametrize("unit", [None, "", "Unknown"])
def test_without_a_unit_the_size_decides_and_a_note_says_so(factor, name, unit):
    centres, _, notes = to_nanometres(NM * factor, unit)
    np.testing.assert_allclose(centres, NM)
    assert name in notes[0]


@pytest.mark.parametrize(
    ("values", "unit"),
    [(np.arange(1.0, 225), None), (np.arange(224.0), ""), (NM, "GHz"), (NM, "Index"), ([60.0, 70, 80], None)],
)
def test_what_is_no_wavelength_is_left_out_with_a_note(values, unit):
    centres, fwhm, notes = to_nanometres(np.asarray(values), unit, np.asarray(values))
    assert centres is None
    assert fwhm is None
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["376.44 Nanometers", "381.45 Nanometers"], ([376.44, 381.45], "nanometers")),
        (["band 1 (0.418 um)", "band 2 (0.424 um)"], ([0.418, 0.424], "um")),
        (["Resize (Band 1:x) (426.820007)", "Resize (Band 2:x) (436.99)"], ([426.820007, 436.99], None)),
        (["Band 1", "Band 2"], None),
        (["400 nm", "mask"], None),
        (["400 nm", "0.5 um"], None),
        ([], None),
    ],
)
def test_wavelengths_out_of_band_names(names, expected):
    found = from_band_names(names)
    assert (found is None) == (expected is None)
    if found is not None:
        assert (found[0].tolist(), found[1]) == expected

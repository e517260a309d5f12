"""Libraries of every format become the same type, and what is no library gets an error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from spectral.database.ecostress import read_ecostress_file
from spectral.io import envi

from hsimisr.errors import ReadError, WriteError
from hsimisr.spectra import table
from hsimisr.spectra.library import SpectralLibrary
from hsimisr.spectra.open import open_library

MICROMETRES, PERCENT = np.array([2.5, 1.4, 0.7, 0.4]), np.array([20.0, 31.5, 7.25, 3.0])
ECOSTRESS = """Name: Green Rye Grass
Type: vegetation
Class: grass
Subclass: unknown
Particle Size: Unknown
Sample No.: grass
Owner: Dept. of Earth and Planetary Science
Wavelength Range: All
Origin: JHU
Description: 3 leaves
Measurement: Directional (10 Degree) Hemispherical Reflectance
First Column: X
Second Column: Y
X Units: Wavelength (micrometers)
Y Units: Reflectance (percent)
First X Value: 2.5
Last X Value: 0.4
Number of X Values: 4
Additional Information: none

"""
SPLIB06 = """USGS Digital Spectral Library splib06a
Clark and others 2007, USGS, Data Series 231.

 ASCII Spectral Data file contents:
     line 15 title
     line 16 history
     line 17 to end:  3-columns of data:
          wavelength    reflectance    standard deviation

 (standard deviation of 0.000000 means not measured)
 (      -1.23e34  indicates a deleted number)
----------------------------------------------------
Actinolite HS22.3B              W1R1Ba AREF
copy of splib05a r 8
      0.400000       -1.23e34       -1.23e34
      0.700000       0.072500       0.001000
      1.400000       0.315000       0.002000
"""


def test_an_envi_library_reads_as_spectral_reads_it(shared_data: Path) -> None:
    library = open_library(shared_data / "speclib" / "library_berlin.sli")
    reference = envi.open(shared_data / "speclib" / "library_berlin.hdr")
    np.testing.assert_array_equal(library.values, reference.spectra)
    np.testing.assert_allclose(library.wavelengths, np.array(reference.bands.centers) * 1000)
    assert list(library.names) == reference.names
    assert library.names[22] == "zinc"
    np.testing.assert_array_equal(open_library(shared_data / "speclib" / "library_berlin.hdr").values, library.values)


@pytest.mark.parametrize("big_endian", [False, True])
def test_an_envi_library_in_any_byte_order_with_missing_values(tmp_path: Path, big_endian: bool) -> None:
    values = np.array([[0.1, 0.2, -9999, 0.4], [0.5, 0.6, 0.7, 0.8]], ">f4" if big_endian else "<f4")
    (tmp_path / "lib.sli").write_bytes(values.tobytes())
    (tmp_path / "lib.hdr").write_text(
        "ENVI\nsamples = 4\nlines = 2\nbands = 1\nfile type = ENVI Spectral Library\ndata type = 4\ninterleave = bsq\n"
        f"byte order = {int(big_endian)}\ndata ignore value = -9999\nwavelength units = Nanometers\n"
        "wavelength = {700, 600, 500, 400}\nspectra names = {one, two}\n"
    )
    library = open_library(tmp_path / "lib.sli")
    assert library.names == ("one", "two")
    assert library.wavelengths.tolist() == [400, 500, 600, 700]
    np.testing.assert_allclose(library.values, [[0.4, np.nan, 0.2, 0.1], [0.8, 0.7, 0.6, 0.5]], rtol=1e-6)


def test_an_ecostress_file_reads_as_spectral_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "vegetation.grass.txt"
    path.write_text(ECOSTRESS + "".join(f"{x:.4f}\t{y}\n" for x, y in zip(MICROMETRES, PERCENT, strict=True)))
    library = open_library(path)
    np.testing.assert_allclose(library.wavelengths, MICROMETRES[::-1] * 1000)
    np.testing.assert_array_equal(library.values, [PERCENT[::-1]])
    assert library.names == ("Green Rye Grass",)
    assert library.source == str(path)
    signature = read_ecostress_file(str(path))
    np.testing.assert_allclose(library.wavelengths, np.array(signature.x) * 1000)
    np.testing.assert_array_equal(library.values[0], signature.y)


def test_a_file_of_splib06_leaves_deleted_numbers_out(tmp_path: Path) -> None:
    (tmp_path / "actinolite.asc").write_text(SPLIB06)
    library = open_library(tmp_path / "actinolite.asc")
    assert library.names == ("Actinolite HS22.3B W1R1Ba AREF",)
    np.testing.assert_allclose(library.wavelengths, [400, 700, 1400])
    np.testing.assert_array_equal(library.values, [[np.nan, 0.0725, 0.315]])


def test_a_file_of_splib07_finds_the_wavelengths_of_its_spectrometer(tmp_path: Path) -> None:
    folder = tmp_path / "ChapterM_Minerals"
    folder.mkdir()
    path = folder / "splib07a_Actinolite_HS116.1B_ASDFRb_AREF.txt"
    path.write_text(" splib07a Record=4: Actinolite HS116.1B   ASDFRb AREF\n -1.23e+34\n 0.2\n 0.3\n")
    for name, first in (("AVIRIS_1996", 0.5), ("ASD_0.35-2.5_microns_3_ch", 0.4), ("BECK_Beckman", 0.2)):
        values = [first, first + 0.1, first + 0.2] + ([9.0] if "BECK" in name else [])
        text = f" splib07a Record=1: Wavelengths {name}\n" + "".join(f" {value}\n" for value in values)
        (tmp_path / f"splib07a_Wavelengths_{name}.txt").write_text(text)
    library = open_library(path)
    np.testing.assert_allclose(library.wavelengths, [400, 500, 600])
    np.testing.assert_array_equal(library.values, [[np.nan, 0.2, 0.3]])
    assert library.names == ("Actinolite HS116.1B ASDFRb AREF",)
    for file in tmp_path.glob("*Wavelengths*"):
        file.unlink()
    with pytest.raises(ReadError, match=r"HS116.*file of 3 wavelengths"):
        open_library(path)


@pytest.mark.parametrize(
    "text",
    [
        "wavelength (nm),grass,soil\n400,0.1,0.2\n500,0.3,\n",
        "Wavelength_um;grass;soil\n0,5;0,3;\n0,4;0,1;0,2\n",
        "# of our own\nnm\tgrass\tsoil\n400\t0.1\t0.2\n500\t0.3\tnan\n",
        '"micrometers","grass","soil"\n0.4,0.1,0.2\n0.5,0.3,\n',
        "x,grass,soil\n400,1e-1,0.2\n500,0.3, \n",
    ],
)
def test_tables_in_the_forms_that_programs_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "lib.csv").write_text(text)
    library = open_library(tmp_path / "lib.csv")
    assert library.names == ("grass", "soil")
    np.testing.assert_allclose(library.wavelengths, [400, 500])
    np.testing.assert_array_equal(library.values, [[0.1, 0.3], [0.2, np.nan]])


def test_a_table_without_headings_numbers_its_spectra(tmp_path: Path) -> None:
    (tmp_path / "lib.csv").write_text("0.4,1,2\n0.5,3,4\n")
    library = open_library(tmp_path / "lib.csv")
    assert library.names == ("spectrum 1", "spectrum 2")
    np.testing.assert_allclose(library.wavelengths, [400, 500])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lib.csv", "", "no table"),
        ("lib.csv", "nm,a\n400,0.1\n500\n", "not as long"),
        ("lib.csv", "nm\n400\n500\n", "single column"),
        ("lib.csv", "nm,a\n400,high\n", "'high' is no number"),
        ("lib.csv", "band,a\n1,0.1\n2,0.2\n3,0.2\n", "first column must be wavelengths"),
        ("lib.csv", "nm,a\n,0.1\n500,0.2\n", "wavelength is missing"),
        ("lib.txt", "a text\nabout nothing\n", "no spectrum"),
        ("lib.txt", "Name: x\n0.4 1\n0.5 1 2\n", "as many columns"),
        ("lib.txt", "1 2\n2 4\n3 8\n", "first column must be wavelengths"),
        ("lib.sli", "", "no ENVI header"),
        ("lib.hdr", "brain", "not an ENVI header"),
        ("lib.hdr", "ENVI\nfile type = ENVI Spectral Library\n", "data file is missing"),
        ("lib.png", "", "no spectral library"),
    ],
)
def test_what_is_no_library_is_refused_by_name(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ReadError, match=message) as error:
        open_library(tmp_path / name)
    assert str(tmp_path / "lib") in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lines = 2", "lines = 3"), "cut off"),
        (("Library", "Standard"), "no spectral library"),
        (("wavelength = {400, 500}\n", ""), "`wavelength` is missing"),
        (("{400, 500}", "{400, 500, 600}"), "3 wavelengths for 2 samples"),
        (("{400, 500}", "{1, 2}"), "needs wavelengths"),
        (("{400, 500}", "{400, high}"), "no number"),
        (("bands = 1", "bands = 2"), "`bands` is 2"),
    ],
)
def test_envi_headers_that_do_not_fit_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "lib.sli").write_bytes(np.ones((2, 2), "<f4").tobytes())
    header = (
        "ENVI\nsamples = 2\nlines = 2\nbands = 1\nfile type = ENVI Spectral Library\ndata type = 4\n"
        "interleave = bsq\nwavelength = {400, 500}\n"
    )
    (tmp_path / "lib.hdr").write_text(header.replace(*change))
    with pytest.raises(ReadError, match=message) as error:
        open_library(tmp_path / "lib.sli")
    assert str(tmp_path / "lib") in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"away\.sli: no such file"):
        open_library(tmp_path / "away.sli")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.text("0123456789.,;\t\n# -en\"'", max_size=120).map(str.encode)))
@pytest.mark.parametrize("name", ["lib.csv", "lib.txt", "lib.hdr"])
def test_any_content_is_a_library_or_a_read_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "lib.sli").write_bytes(b"\0" * 16)
    (tmp_path / name).write_bytes(content)
    try:
        library = open_library(tmp_path / name)
    except ReadError as error:
        message = str(error)
    else:
        message = library.source
        assert library.values.shape == (len(library.names), len(library.wavelengths))
    assert "lib." in message


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=arrays(float, st.tuples(st.integers(1, 4), st.just(5)), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    name=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12),
)
def test_a_table_that_was_written_reads_the_same(tmp_path: Path, values: np.ndarray, name: str) -> None:
    wavelengths = np.array([400.0, 450, 500, 1000, 2500])
    names = tuple(f"{name} {n}" for n in range(len(values)))
    table.write(tmp_path / "lib.csv", ("wavelength (nm)", *names), [wavelengths, *values], ("pin 1: y 2.00, x 3.00",))
    library = open_library(tmp_path / "lib.csv")
    assert library.names == names
    np.testing.assert_array_equal(library.wavelengths, wavelengths)
    np.testing.assert_allclose(library.values, values, rtol=1e-8)  # nine digits are written


def test_a_table_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"nowhere.*cannot be written"):
        table.write(tmp_path / "nowhere" / "lib.csv", ("nm", "a"), [np.array([400.0]), np.array([1.0])])


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ReadError, match=r"lib\.csv: 1 spectra on 3 wavelengths"):
        SpectralLibrary(("a",), np.arange(1.0, 4), np.ones((1, 2)), "lib.csv")

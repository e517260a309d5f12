"""ENVI images in all their layouts, and headers as they are found in the wild."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.errors import ReadError
from hsimisr.geometry import View
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_every_layout_reads_the_same(image, make_envi, interleave, big_endian):
    path = make_envi(image, interleave=interleave, big_endian=big_endian, offset=13)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.data.compute(), image)
    assert cube.data.dtype == np.dtype("uint16")  # native byte order


@pytest.mark.parametrize("suffix", ["", ".img", ".dat", ".raw", ".IMG"])
def test_header_and_data_file_name_the_same_cube(image, make_envi, suffix):
    header = make_envi(image, suffix=suffix)
    data = header.with_suffix(suffix)
    np.testing.assert_array_equal(open_cube(header).data.compute(), open_cube(data).data.compute())


def test_header_named_after_the_whole_data_file(image, make_envi, tmp_path):
    make_envi(image).rename(tmp_path / "scene.img.hdr")
    np.testing.assert_array_equal(open_cube(tmp_path / "scene.img").data.compute(), image)
    np.testing.assert_array_equal(open_cube(tmp_path / "scene.img.hdr").data.compute(), image)


def test_micrometres_become_nanometres(image, make_envi):
    path = make_envi(
        image, wavelength="{0.4, 0.5, 0.6, 0.7, 0.8}", fwhm="{0.01,0.01,0.01,0.01,0.02}", wavelength_units="Micrometers"
    )
    cube = open_cube(path)
    np.testing.assert_allclose(cube.wavelengths, [400, 500, 600, 700, 800])
    np.testing.assert_allclose(cube.fwhm, [10, 10, 10, 10, 20])
    assert cube.notes == ()


def test_bad_bands_nodata_and_scale(image, make_envi):
    image[3] = 0
    path = make_envi(image, bbl="{1, 0, 1, 1, 1}", data_ignore_value=9, reflectance_scale_factor=10000)
    cube = open_cube(path)
    assert cube.bad.tolist() == [False, True, False, True, False]  # listed, and empty
    assert (cube.nodata, cube.scale_factor) == (9.0, 1e-4)
    assert any("1 bands hold no data" in note for note in cube.notes)
    assert np.isnan(cube.read()[0, 1, 1])  # its value is 9


def test_missing_byte_order_is_noted(image, make_envi):
    cube = open_cube(make_envi(image, byte_order=None))
    assert any("byte order" in note for note in cube.notes)
    np.testing.assert_array_equal(cube.data.compute(), image)


def test_latin_1_header_is_read(image, make_envi):
    path = make_envi(image, description="PLACE", wavelength="{.4,.5,.6,.7,.8}")
    path.write_bytes(path.read_bytes().replace(b"PLACE", "{10 µm à Orléans}".encode("latin-1")))
    cube = open_cube(path)
    assert "Orléans" in cube.extra["description"]
    assert any("Latin-1" in note for note in cube.notes)


def test_upper_case_keys_are_read(image, make_envi):
    path = make_envi(image)
    path.write_text(path.read_text().replace("samples", "Samples").replace("interleave", "INTERLEAVE"))
    np.testing.assert_array_equal(open_cube(path).data.compute(), image)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interleave": "tiled"}, "interleave"),
        ({"data type": 7}, "data type 7"),
        ({"data type": "abc"}, "data type abc"),
        ({"bands": 0}, "`bands` is 0"),
        ({"samples": "seven"}, "`samples` is 'seven'"),
        ({"lines": None}, "`lines` is missing"),
        ({"bands": 6}, "cut off"),
        ({"bands": 4}, "larger than its header says"),
        ({"data type": 4}, "cut off"),
        ({"file type": "ENVI Spectral Library"}, "spectral library"),
        ({"file type": "ENVI Classification"}, "classification"),
        ({"file compression": 1}, "compressed"),
    ],
)
def test_headers_that_do_not_fit_are_refused(image, make_envi, fields, message):
    path = make_envi(image)
    lines = [line for line in path.read_text().splitlines() if line.partition(" = ")[0] not in fields]
    path.write_text("\n".join([*lines, *(f"{k} = {v}" for k, v in fields.items() if v is not None)]) + "\n")
    with pytest.raises(ReadError, match=message) as error:
        open_cube(path)
    assert "scene" in str(error.value)


def test_unclosed_brace_is_refused(image, make_envi):
    path = make_envi(image, wavelength="{400, 500,")
    with pytest.raises(ReadError, match="brace"):
        open_cube(path)


def test_header_without_data_and_data_without_header(image, make_envi):
    path = make_envi(image)
    path.with_suffix(".img").rename(path.with_name("other.img"))
    with pytest.raises(ReadError, match="data file is missing"):
        open_cube(path)
    with pytest.raises(ReadError, match="no ENVI header"):
        open_cube(path.with_name("other.img"))


def test_header_of_another_program_is_refused(tmp_path):
    (tmp_path / "brain.hdr").write_bytes(b"\x5c\x01\x00\x00" + b"\0" * 344)
    with pytest.raises(ReadError, match="not an ENVI header"):
        open_cube(tmp_path / "brain.hdr")


@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_place_agrees_with_gdal(image, make_envi, rotation):
    rasterio = pytest.importorskip("rasterio")
    # GDAL takes the reference pixel as unrotated, so rotated grids are compared with the first as reference
    reference, options = ("1, 1", f", rotation={rotation}") if rotation else ("3, 2", "")
    path = make_envi(image, map_info=f"{{UTM, {reference}, 353128.75, 3813729.5, 15, 12, 11, North, WGS-84{options}}}")
    cube = open_cube(path)
    with rasterio.open(path.with_suffix(".img")) as dataset:
        np.testing.assert_allclose(cube.transform, dataset.transform.to_gdal(), atol=1e-6)
        assert cube.crs == f"EPSG:{dataset.crs.to_epsg()}"


def test_gdal_reads_what_is_written(image, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    transform = (365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0)
    image = np.tile(image, (200, 1, 1))
    cube = Cube.from_array(image, wavelengths=np.arange(1000) + 1 / 3, nodata=7, crs="EPSG:32633", transform=transform)
    write_cube(tmp_path / "scene.hdr", cube)
    with rasterio.open(tmp_path / "scene.img") as dataset:
        np.testing.assert_array_equal(dataset.read(), image)
        assert dataset.crs.to_epsg() == 32633
        assert dataset.transform.to_gdal() == transform
        assert dataset.nodata == 7
        assert float(dataset.tags(1000)["wavelength"]) == 999 + 1 / 3


def test_the_header_a_cube_is_written_to_keeps_its_data_file(image, make_envi):
    """A stale data file that readers look for first must not hide the new one."""
    path = make_envi(image, suffix="")
    write_cube(path, Cube.from_array(image + 1))
    np.testing.assert_array_equal(open_cube(path).data.compute(), image + 1)


def test_data_are_read_only_where_asked(image, make_envi, tmp_path):
    path = make_envi(image)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.crop(View(1, 3, 2, 5)).data.compute(), image[:, 1:3, 2:5])
    path.with_suffix(".img").unlink()  # no handle is held, and nothing was loaded
    with pytest.raises(FileNotFoundError):
        cube.data.compute()


def test_a_large_image_opens_at_once(tmp_path: Path) -> None:
    bands, lines, samples = 200, 4000, 3000
    with (tmp_path / "large.img").open("wb") as file:
        file.truncate(bands * lines * samples * 2)  # 4.8 GB, sparse
        for band in range(bands):
            file.seek(2 * (band * lines * samples + lines // 2 * samples + samples // 2))
            file.write(b"\x01\x00")
    (tmp_path / "large.hdr").write_text(
        f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\n"
        "data type = 12\ninterleave = bsq\nbyte order = 0\n"
    )
    cube = open_cube(tmp_path / "large.hdr")
    assert not cube.bad.any()
    assert cube.data.chunksize[0] > 1  # a spectrum must not touch one chunk per band
    assert max(cube.data.chunksize) <= 512

"""The record completes a format's own fields, and never hides what was changed since."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube

TRANSFORM = (365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0)


@pytest.fixture
def cube(image):
    return Cube.from_array(
        image,
        wavelengths=np.arange(5) * 100 + 400 + 1 / 3,
        bad=[False, True, False, False, False],
        scale_factor=1 / 3,
        crs="EPSG:32633",
        transform=TRANSFORM,
        extra={"sensor": "unit 7"},
    )


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_rounded_numbers_come_back_exact(cube, tmp_path):
    path = write_cube(tmp_path / "scene.hdr", cube)[0]
    header, mark, record = path.read_text().partition("hsimisr record")
    path.write_text(header.replace("400.3333333333333", "400.33333") + mark + record)
    assert open_cube(path).wavelengths[0] == cube.wavelengths[0]


def test_a_header_edited_by_hand_wins(cube, tmp_path):
    path = write_cube(tmp_path / "scene.hdr", cube)[0]
    edit(path, "bbl = {\n1, 0, 1, 1, 1}", "bbl = {1, 0, 0, 1, 1}")
    edit(path, "reflectance scale factor = 3.0", "reflectance scale factor = 100")
    read = open_cube(path)
    assert read.bad.tolist() == [False, True, True, False, False]
    assert read.scale_factor == 0.01
    assert read.extra["sensor"] == "unit 7"


def test_a_file_cropped_by_another_program_keeps_its_new_place(cube, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    from rasterio.shutil import copy

    write_cube(tmp_path / "scene.tif", cube)
    with rasterio.open(tmp_path / "scene.tif") as whole:
        window = rasterio.windows.Window(2, 1, 4, 3)
        profile = {
            **whole.profile,
            "width": 4,
            "height": 3,
            "transform": whole.transform @ whole.transform.translation(2, 1),
        }
        with rasterio.open(tmp_path / "crop.tif", "w", **profile) as crop:
            crop.write(whole.read(window=window))
            crop.update_tags(**whole.tags())
        with rasterio.open(tmp_path / "two.tif", "w", **{**whole.profile, "count": 2}) as two:
            two.write(whole.read([1, 2]))
            two.update_tags(**whole.tags())
    read = open_cube(tmp_path / "crop.tif")
    assert read.transform == (365055.0 + 60, 30.0, 0.0, 5807085.0 - 30, 0.0, -30.0)
    assert read.extra["sensor"] == "unit 7"
    two = open_cube(tmp_path / "two.tif")
    assert (two.bands, two.wavelengths) == (2, None)
    assert any("other bands" in note for note in two.notes)
    copy(tmp_path / "scene.tif", tmp_path / "copy.tif", driver="GTiff", compress="deflate")
    np.testing.assert_array_equal(open_cube(tmp_path / "copy.tif").wavelengths, cube.wavelengths)


@pytest.mark.parametrize(
    ("before", "after"), [('{"version"', '{"vers'), ('"version": 1', '"version": 99'), ('"fwhm"', '"width"')]
)
def test_a_record_that_cannot_be_used_is_noted(cube, tmp_path, before, after):
    path = write_cube(tmp_path / "scene.hdr", cube)[0]
    edit(path, before, after)
    read = open_cube(path)
    assert any("record" in note for note in read.notes)
    np.testing.assert_allclose(read.wavelengths, cube.wavelengths)
    assert read.transform == TRANSFORM

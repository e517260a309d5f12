"""TIFF and GeoTIFF, with GDAL as the second opinion."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile

from hsimisr.cube import Cube
from hsimisr.errors import ReadError, WriteError
from hsimisr.io.open import open_cube, open_frames
from hsimisr.io.write import write_cube

TRANSFORM = (365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0)


@pytest.fixture
def without_rasterio(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where the extra `geo` is not installed."""
    for module in {"rasterio"} | {name for name in sys.modules if name.startswith("rasterio.")}:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("planar", ["separate", "contig"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_layout_reads_the_same(image, tmp_path, planar, compression, byteorder):
    stored = image if planar == "separate" else np.moveaxis(image, 0, -1)
    path = tmp_path / "scene.tif"
    options = {"planarconfig": planar, "photometric": "minisblack", "compression": compression, "rowsperstrip": 2}
    tifffile.imwrite(path, stored, byteorder=byteorder, **options)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.data.compute(), image)
    assert cube.data.dtype == np.dtype("uint16")


def test_tiles_and_pages(image, tmp_path):
    tifffile.imwrite(
        tmp_path / "tiled.tif",
        np.tile(image, (1, 8, 8)),
        tile=(16, 16),
        photometric="minisblack",
        planarconfig="separate",
    )
    np.testing.assert_array_equal(open_cube(tmp_path / "tiled.tif").data.compute(), np.tile(image, (1, 8, 8)))
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for band in image:
            writer.write(band, photometric="minisblack", contiguous=True, metadata=None)
    np.testing.assert_array_equal(open_cube(tmp_path / "pages.tif").data.compute(), image)


def test_one_band_and_frames(image, tmp_path):
    tifffile.imwrite(tmp_path / "pan.tif", image[0], photometric="minisblack")
    assert open_cube(tmp_path / "pan.tif").data.shape == (1, 6, 7)
    tifffile.imwrite(
        tmp_path / "stack.tif",
        np.stack([image, image + 500]),
        imagej=False,
        metadata={"axes": "TCYX"},
        photometric="minisblack",
    )
    stack = open_frames([tmp_path / "stack.tif"])
    assert len(stack) == 2
    np.testing.assert_array_equal(stack.frames[1].data.compute(), image + 500)


def test_gdal_and_this_reader_agree_on_a_file_of_gdal(image, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "count": 5, "height": 6, "width": 7, "dtype": "uint16", "compress": "deflate"}
    with rasterio.open(
        path, "w", crs="EPSG:32733", transform=rasterio.Affine.from_gdal(*TRANSFORM), nodata=3, **profile
    ) as f:
        f.write(image)
        f.scales = [0.5] * 5
        for band in range(5):
            f.update_tags(band + 1, wavelength=str(0.4 + band / 10), wavelength_units="Micrometers", fwhm="0.01")
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.data.compute(), image)
    assert (cube.crs, cube.transform, cube.nodata, cube.scale_factor) == ("EPSG:32733", TRANSFORM, 3.0, 0.5)
    np.testing.assert_allclose(cube.wavelengths, [400, 500, 600, 700, 800])
    np.testing.assert_allclose(cube.fwhm, 10)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3035"])
def test_gdal_reads_what_is_written(image, tmp_path, crs):
    rasterio = pytest.importorskip("rasterio")
    cube = Cube.from_array(
        image, wavelengths=np.arange(5) + 400.5, nodata=7, scale_factor=0.5, crs=crs, transform=TRANSFORM
    )
    write_cube(tmp_path / "scene.tif", cube)
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), image)
        assert dataset.crs == rasterio.CRS.from_string(crs)
        assert dataset.transform.to_gdal() == TRANSFORM
        assert (dataset.nodata, dataset.scales[0]) == (7, 0.5)
        assert dataset.tags(2)["wavelength"] == "401.5"


def test_pixel_is_point_is_moved_to_the_corner(image, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "count": 1, "height": 6, "width": 7, "dtype": "uint16"}
    with rasterio.open(
        tmp_path / "point.tif", "w", crs="EPSG:32633", transform=rasterio.Affine.from_gdal(*TRANSFORM), **profile
    ) as f:
        f.write(image[:1])
        f.update_tags(AREA_OR_POINT="Point")
    assert open_cube(tmp_path / "point.tif").transform == TRANSFORM


def test_utm_needs_no_rasterio(image, tmp_path, without_rasterio):
    write_cube(tmp_path / "scene.tif", Cube.from_array(image, crs="EPSG:32633", transform=TRANSFORM))
    cube = open_cube(tmp_path / "scene.tif")
    assert (cube.crs, cube.transform) == ("EPSG:32633", TRANSFORM)


def test_other_coordinate_systems_ask_for_rasterio(image, tmp_path, without_rasterio):
    with pytest.raises(WriteError, match="extra `geo`"):
        write_cube(tmp_path / "scene.tif", Cube.from_array(image, crs="EPSG:3035", transform=TRANSFORM))


def test_a_code_that_does_not_exist_is_refused(image, tmp_path):
    pytest.importorskip("rasterio")
    with pytest.raises(WriteError, match="EPSG:99999"):
        write_cube(tmp_path / "scene.tif", Cube.from_array(image, crs="EPSG:99999", transform=TRANSFORM))


def test_a_file_cut_off_is_refused(image, tmp_path):
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, np.tile(image, (1, 10, 10)), photometric="minisblack", planarconfig="separate")
    content = path.read_bytes()
    for size in (4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ReadError, match=r"scene\.tif"):
            open_cube(path)

"""Other programs read refined cubes with the same values, wavelengths and place: on the finer grid, to the corner."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spectral.io import envi

from hsimisr.cube import Cube
from hsimisr.geometry import rescaled_transform
from hsimisr.io.write import write_cube

SCALE, BANDS, ROWS, COLUMNS = 2, 9, 12, 16
COARSE = (300000.0, 30.0, 0.0, 5000000.0, 0.0, -30.0)
FINE = (300000.0, 15.0, 0.0, 5000000.0, 0.0, -15.0)
BAD = np.arange(BANDS) == 4


@pytest.fixture
def cube() -> Cube:
    data = np.random.default_rng(0).uniform(1, 2, (BANDS, ROWS, COLUMNS)).astype(np.float32)
    data[BAD] = np.nan
    return Cube.from_array(
        data,
        wavelengths=np.linspace(420.1, 980.7, BANDS),
        fwhm=np.linspace(5, 9, BANDS),
        bad=BAD,
        crs="EPSG:32633",
        transform=rescaled_transform(COARSE, SCALE),
        name="refined",
    )


@pytest.fixture
def saved(tmp_path: Path, cube: Cube) -> Callable[[str], Path]:
    """Writes the cube with error bars and a map, and gives the path."""

    def save(suffix: str) -> Path:
        std = Cube.from_array(cube.data / 10)
        determined = np.full((ROWS // SCALE, COLUMNS // SCALE), 0.5, np.float32)
        write_cube(tmp_path / f"refined{suffix}", cube, std, {"seed": 1}, determined)
        return tmp_path / f"refined{suffix}"

    return save


def test_the_finer_grid_starts_at_the_same_corner(cube: Cube) -> None:
    assert cube.transform == FINE


def test_rasterio_reads_geotiff(saved: Callable[[str], Path], cube: Cube) -> None:
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    with rasterio.open(saved(".tif")) as dataset:
        assert dataset.transform.to_gdal() == FINE
        assert dataset.crs.to_epsg() == 32633
        assert dataset.xy(0, 0) == (300007.5, 4999992.5)
        np.testing.assert_array_equal(dataset.read(), cube.data.compute())
        told = [dataset.tags(band + 1) for band in range(BANDS)]
        assert [float(tags["wavelength"]) for tags in told] == cube.wavelengths.tolist()  # type: ignore[union-attr]
        assert [float(tags["fwhm"]) for tags in told] == cube.fwhm.tolist()  # type: ignore[union-attr]
        assert [tags["bbl"] == "0" for tags in told] == BAD.tolist()


def test_rasterio_reads_envi(saved: Callable[[str], Path], cube: Cube) -> None:
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    with rasterio.open(saved(".hdr").with_suffix(".img")) as dataset:
        assert dataset.transform.to_gdal() == FINE
        assert dataset.crs.to_epsg() == 32633
        np.testing.assert_array_equal(dataset.read(), cube.data.compute())


def test_spectral_reads_envi(saved: Callable[[str], Path], cube: Cube) -> None:
    path = saved(".hdr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = envi.open(path)
    np.testing.assert_array_equal(np.moveaxis(image.load(), -1, 0), cube.data.compute())
    assert image.bands.centers == cube.wavelengths.tolist()  # type: ignore[union-attr]
    assert image.bands.bandwidths == cube.fwhm.tolist()  # type: ignore[union-attr]
    assert [float(entry) == 0 for entry in image.metadata["bbl"]] == BAD.tolist()
    assert [float(entry) for entry in image.metadata["map info"][1:7]] == [1, 1, 300000, 5000000, 15, 15]


def test_netcdf4_reads_coordinates_by_cf_conventions(saved: Callable[[str], Path], cube: Cube) -> None:
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(saved(".nc")) as file:
        image = file["cube"]
        np.testing.assert_array_equal(np.ma.filled(image[:], np.nan), cube.data.compute())
        np.testing.assert_allclose(np.ma.filled(file["std"][:], np.nan) * 10, cube.data.compute(), rtol=1e-6)
        assert image.dimensions == ("band", "y", "x")
        np.testing.assert_array_equal(file["wavelength"][:], cube.wavelengths)
        assert (file["x"][0], file["y"][0]) == (300007.5, 4999992.5)
        assert [file[axis].standard_name for axis in "xy"] == ["projection_x_coordinate", "projection_y_coordinate"]
        assert [(file[axis].units, file[axis].axis) for axis in "xy"] == [("m", "X"), ("m", "Y")]
        mapping = file[image.grid_mapping]
        assert mapping.grid_mapping_name == "transverse_mercator"
        assert mapping.longitude_of_central_meridian == 15
        assert [float(entry) for entry in mapping.GeoTransform.split()] == list(FINE)
        assert image.ancillary_variables == "std determined"
        assert (file["x_frame"][0], file["y_frame"][0]) == (300015.0, 4999985.0)
        assert file["determined"].units == "1"


def test_degrees_are_called_so_in_netcdf(tmp_path: Path, cube: Cube) -> None:
    netcdf = pytest.importorskip("netCDF4")
    degrees = Cube.from_array(cube.data, crs="EPSG:4326", transform=(10.0, 0.01, 0.0, 50.0, 0.0, -0.01))
    write_cube(tmp_path / "a.nc", degrees)
    with netcdf.Dataset(tmp_path / "a.nc") as file:
        assert [(file[a].standard_name, file[a].units) for a in "yx"] == [
            ("latitude", "degrees_north"),
            ("longitude", "degrees_east"),
        ]
        assert file["spatial_ref"].grid_mapping_name == "latitude_longitude"
    turned = Cube.from_array(cube.data, crs="EPSG:32633", transform=(10.0, 1.0, 0.5, 50.0, 0.5, -1.0))
    write_cube(tmp_path / "b.nc", turned)
    with netcdf.Dataset(tmp_path / "b.nc") as file:
        assert "standard_name" not in file["x"].ncattrs()  # rows and columns there: only the grid mapping can place it
        assert "GeoTransform" in file["spatial_ref"].ncattrs()


def test_scipy_reads_matlab(saved: Callable[[str], Path], cube: Cube) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    file = scipy_io.loadmat(saved(".mat"), squeeze_me=True)
    np.testing.assert_array_equal(np.moveaxis(file["cube"], -1, 0), cube.data.compute())
    np.testing.assert_array_equal(file["wavelength_nm"], cube.wavelengths)
    np.testing.assert_array_equal(file["bad_bands"], BAD)
    assert file["determined"].shape == (ROWS // SCALE, COLUMNS // SCALE)


def test_zarr_reads_the_group_and_its_axes(saved: Callable[[str], Path], cube: Cube) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(saved(".zarr"), mode="r")
    np.testing.assert_array_equal(group["cube"][:], cube.data.compute())
    np.testing.assert_array_equal(group["wavelength_nm"][:], cube.wavelengths)
    assert group["cube"].metadata.dimension_names == ("band", "y", "x")
    (image,) = group.attrs["ome"]["multiscales"]
    assert group.attrs["ome"]["version"] == "0.5"
    assert [axis["name"] for axis in image["axes"]] == ["band", "y", "x"]
    (level,) = image["datasets"]
    assert level["path"] == "cube"
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, 15.0, 15.0]}]
    assert image["axes"][1]["unit"] == "meter"

"""HDF5 in the layouts of NEON and EMIT, and NetCDF-4 with netCDF4 as the second opinion."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.errors import ReadError
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube

TRANSFORM = (365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0)


def test_emit_layout(image, tmp_path):
    with h5py.File(tmp_path / "emit.nc", "w") as file:
        radiance = file.create_dataset("radiance", data=np.moveaxis(image, 0, -1).astype(np.float32))
        for axis, name in enumerate(("downtrack", "crosstrack", "bands")):
            file.create_dataset(name, data=np.arange(radiance.shape[axis])).make_scale(name)
            radiance.dims[axis].attach_scale(file[name])
        radiance.attrs["_FillValue"] = np.array([-9999.0], np.float32)
        group = file.create_group("sensor_band_parameters")
        group.create_dataset("wavelengths", data=np.arange(5) * 7.5 + 381).attrs["units"] = "nm"
        group.create_dataset("fwhm", data=np.full(5, 8.4))
        group.create_dataset("good_wavelengths", data=np.array([1, 1, 0, 1, 1]))
        file.create_dataset("location/glt_x", data=np.ones((60, 70), np.int32))
    cube = open_cube(tmp_path / "emit.nc")
    np.testing.assert_array_equal(cube.data.compute(), image)
    np.testing.assert_array_equal(cube.wavelengths, np.arange(5) * 7.5 + 381)
    assert cube.bad.tolist() == [False, False, True, False, False]
    assert cube.nodata == -9999


def test_netcdf_of_another_library(image, tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "scene.nc", "w") as file:
        for name, values in (
            ("y", 5807070 - 30 * np.arange(6)),
            ("x", 365070 + 30 * np.arange(7)),
            ("wavelength", np.linspace(0.4, 0.8, 5)),
        ):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file["wavelength"].units = "micrometer"
        file.createVariable("utm", "i4").crs_wkt = 'PROJCS["UTM 33N",AUTHORITY["EPSG","32633"]]'
        reflectance = file.createVariable("reflectance", "i2", ("y", "x", "wavelength"), fill_value=-1, zlib=True)
        reflectance.setncatts({"grid_mapping": "utm", "scale_factor": 0.0001})
        reflectance.set_auto_maskandscale(False)
        reflectance[:] = np.moveaxis(image, 0, -1)
    cube = open_cube(tmp_path / "scene.nc")
    np.testing.assert_array_equal(cube.data.compute(), image)
    np.testing.assert_allclose(cube.wavelengths, [400, 500, 600, 700, 800])
    assert (cube.scale_factor, cube.nodata, cube.crs, cube.transform) == (1e-4, -1.0, "EPSG:32633", TRANSFORM)


def test_another_library_reads_the_netcdf_that_is_written(image, tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    cube = Cube.from_array(
        image, wavelengths=np.arange(5) + 400.5, nodata=7, scale_factor=0.5, crs="EPSG:32633", transform=TRANSFORM
    )
    write_cube(tmp_path / "scene.nc", cube, Cube.from_array(image / np.float32(9)), {"seed": 1})
    with netcdf.Dataset(tmp_path / "scene.nc") as file:
        assert file["cube"].dimensions == ("band", "y", "x")
        np.testing.assert_array_equal(file["cube"][:].mask, image == 7)
        np.testing.assert_array_equal(file["cube"][:].compressed(), image[image != 7] * 0.5)
        np.testing.assert_array_equal(file["std"][:], image / np.float32(9))
        np.testing.assert_array_equal(file["wavelength"][:], np.arange(5) + 400.5)
        assert (file["x"][0], file["y"][1]) == (365070, 5807040)
        assert file[file["cube"].grid_mapping].epsg_code == "EPSG:32633"


def test_plain_hdf5_without_any_convention(image, tmp_path):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file.create_dataset("group/data", data=np.moveaxis(image, 0, -1), chunks=(2, 3, 2), compression="gzip")
        file.create_dataset("group/mask", data=np.ones((60, 70, 1)))
    cube = open_cube(tmp_path / "plain.h5")
    np.testing.assert_array_equal(cube.data.compute(), image)
    np.testing.assert_array_equal(open_cube(f"{tmp_path / 'plain.h5'}:group/data").data.compute(), image)


def test_netcdf_classic_is_refused_with_the_way_out(tmp_path):
    from scipy.io import netcdf_file

    with netcdf_file(tmp_path / "old.nc", "w") as file:
        file.createDimension("x", 3)
    with pytest.raises(ReadError, match="nccopy"):
        open_cube(tmp_path / "old.nc")


def test_a_file_cut_off_and_a_file_of_another_kind_are_refused(image, tmp_path):
    path = tmp_path / "scene.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=np.tile(image, (1, 10, 10)))
    content = path.read_bytes()
    for size in (4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ReadError, match=r"scene\.h5"):
            open_cube(path)
    path.write_text("this is no HDF5")
    with pytest.raises(ReadError, match=r"scene\.h5"):
        open_cube(path)

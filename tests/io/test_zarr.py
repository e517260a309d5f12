"""Zarr arrays and groups."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from hsimisr.errors import ReadError
from hsimisr.io.open import open_cube, open_frames


@pytest.mark.parametrize("version", [2, 3])
def test_a_single_array(image, tmp_path, version):
    zarr.save_array(tmp_path / "cube.zarr", np.tile(image, (1, 4, 4)), zarr_format=version)
    np.testing.assert_array_equal(open_cube(tmp_path / "cube.zarr").data.compute(), np.tile(image, (1, 4, 4)))


def test_a_group_with_wavelengths_and_named_dimensions(image, tmp_path):
    group = zarr.create_group(tmp_path / "store")  # a store needs no suffix
    group.create_array("reflectance", data=np.moveaxis(image, 0, -1), dimension_names=("y", "x", "band"))
    group.create_array("reflectance_small", data=image[:, :2, :2])
    group.create_array("wavelength_nm", data=np.arange(5) * 10.0 + 400)
    cube = open_cube(tmp_path / "store")
    np.testing.assert_array_equal(cube.data.compute(), image)
    assert cube.wavelengths[1] == 410
    assert open_cube(f"{tmp_path / 'store'}:reflectance_small").shape_yx == (2, 2)


def test_frames_with_four_axes(image, tmp_path):
    zarr.save_array(tmp_path / "frames.zarr", np.stack([image, image + 300]))
    assert len(open_frames([tmp_path / "frames.zarr"])) == 2


def test_chunks_follow_the_store(tmp_path):
    array = zarr.create_array(tmp_path / "big.zarr", shape=(200, 1000, 1000), chunks=(50, 100, 100), dtype="u2")
    array[:, :100, :100] = 1
    cube = open_cube(tmp_path / "big.zarr")
    assert all(size % step == 0 for size, step in zip(cube.data.chunksize, (50, 100, 100), strict=True))


def test_damaged_stores_are_refused(image, tmp_path):
    zarr.save_array(tmp_path / "cube.zarr", image)
    (tmp_path / "cube.zarr" / "zarr.json").write_text("{")
    with pytest.raises(ReadError, match=r"cube\.zarr"):
        open_cube(tmp_path / "cube.zarr")
    zarr.create_group(tmp_path / "empty.zarr")
    with pytest.raises(ReadError, match="no arrays"):
        open_cube(tmp_path / "empty.zarr")
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(ReadError, match="is a folder"):
        open_cube(tmp_path / "folder.zarr")

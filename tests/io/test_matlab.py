"""MATLAB files of both kinds."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from hsimisr.errors import ReadError
from hsimisr.io.open import open_cube, open_frames


def save(path, variables, version):
    """Write version 5 with scipy, or 7.3 as MATLAB lays it out: axes reversed."""
    if version == "5":
        savemat(path, variables, do_compression=True)
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            value = np.atleast_2d(value)
            file.create_dataset(name, data=value.T).attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


@pytest.fixture(params=["5", "7.3"])
def version(request):
    return request.param


@pytest.fixture
def image_yxb(image):
    return np.moveaxis(image, 0, -1)


def test_the_cube_is_found_among_other_variables(image, image_yxb, tmp_path, version):
    path = tmp_path / "scene.mat"
    save(path, {"map": np.ones((60, 70)), "scene": image_yxb, "wavelength_um": np.linspace(0.4, 0.8, 5)}, version)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.data.compute(), image)
    np.testing.assert_allclose(cube.wavelengths, [400, 500, 600, 700, 800])
    assert "axes (y, x, band): 5 bands are described" in cube.notes


def test_the_largest_of_several_is_taken_and_the_others_are_named(image_yxb, tmp_path, version):
    path = tmp_path / "pair.mat"
    save(path, {"MSim": image_yxb[..., :3], "HSim": image_yxb}, version)
    assert open_cube(path).bands == 5
    assert any("MSim" in note for note in open_cube(path).notes)
    ms = open_cube(f"{path}:MSim")
    assert ms.bands == 3
    assert (ms.source.variable, ms.name) == ("MSim", "pair:MSim")


@pytest.mark.parametrize("pixels_first", [False, True])
def test_a_table_of_pixels_is_reshaped_in_matlabs_order(image, image_yxb, tmp_path, version, pixels_first):
    table = image_yxb.reshape(6 * 7, 5, order="F")
    save(
        tmp_path / "t.mat",
        {"Y": table if pixels_first else table.T, "nRow": 6, "nCol": 7, "A": table[:, :2].T},
        version,
    )
    cube = open_cube(tmp_path / "t.mat")
    np.testing.assert_array_equal(cube.data.compute(), image)
    assert any("reshaped to 6 x 7" in note for note in cube.notes)


def test_a_sequence_of_one_band_frames(image_yxb, tmp_path, version):
    path = tmp_path / "text.mat"
    save(path, {"text": image_yxb}, version)
    stack = open_frames([path], bands_as_frames=True, reference=2)
    assert len(stack) == 5
    assert stack.bands == 1
    np.testing.assert_array_equal(stack.frames[3].data.compute()[0], image_yxb[..., 3])
    again = open_cube(stack.frames[3].source)
    np.testing.assert_array_equal(again.data.compute(), stack.frames[3].data.compute())


def test_frames_along_the_last_axis(image, image_yxb, tmp_path, version):
    path = tmp_path / "frames.mat"
    save(
        path,
        {"frames": np.stack([image_yxb, image_yxb + 300], -1), "wavelength_nm": np.arange(5) * 10 + 400.0},
        version,
    )
    stack = open_frames([path])
    assert len(stack) == 2
    np.testing.assert_array_equal(stack.frames[1].data.compute(), image + 300)
    with pytest.raises(ReadError, match="holds 2 frames"):
        open_cube(path)


def test_unknown_variables_and_files_without_a_cube_list_what_is_there(tmp_path, image_yxb, version):
    save(tmp_path / "scene.mat", {"scene": image_yxb}, version)
    with pytest.raises(ReadError, match=r"no array named 'cube'; it has scene \(6 x 7 x 5"):
        open_cube(f"{tmp_path / 'scene.mat'}:cube")
    save(tmp_path / "tables.mat", {"P": np.ones((3, 31)), "Q": np.ones((3, 31))}, version)
    with pytest.raises(ReadError, match="no image cube; it has P"):
        open_cube(tmp_path / "tables.mat")


def test_complex_and_text_are_refused(tmp_path):
    savemat(tmp_path / "radar.mat", {"slc": np.ones((6, 7, 5)) * 1j})
    with pytest.raises(ReadError, match="complex"):
        open_cube(tmp_path / "radar.mat")
    savemat(tmp_path / "names.mat", {"names": ["a", "b"], "cells": np.array([[1], "x"], dtype=object)})
    with pytest.raises(ReadError, match="no image cube"):
        open_cube(tmp_path / "names.mat")
    with pytest.raises(ReadError, match="not numbers"):
        open_cube(f"{tmp_path / 'names.mat'}:cells")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_file_with_a_damaged_byte_is_refused_by_name(image_yxb, tmp_path, place):
    """MATLAB compresses by default, and a stream that is damaged does not decompress."""
    path = tmp_path / "scene.mat"
    savemat(path, {"cube": image_yxb}, do_compression=True)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ReadError, match=r"scene\.mat: cannot be read as a MATLAB file"):
        open_cube(path)


def test_a_file_cut_off_is_refused(image_yxb, tmp_path, version):
    path = tmp_path / "scene.mat"
    save(path, {"scene": np.random.default_rng(0).random((30, 30, 5))}, version)
    content = path.read_bytes()
    for size in (10, 130, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:size])
        with pytest.raises(ReadError, match=r"scene\.mat"):
            open_cube(path)

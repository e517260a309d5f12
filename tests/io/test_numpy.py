"""NumPy arrays and archives."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import ReadError
from hsimisr.io.open import open_cube, open_frames


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_in_both_memory_orders(image, tmp_path, order):
    np.save(tmp_path / "cube.npy", np.asarray(np.tile(image, (1, 5, 5)), order=order))
    np.testing.assert_array_equal(open_cube(tmp_path / "cube.npy").data.compute(), np.tile(image, (1, 5, 5)))


def test_npz_with_wavelengths_tells_the_band_axis(image, tmp_path):
    path = tmp_path / "cube.npz"
    for stored in (image, np.moveaxis(image, 0, -1), np.moveaxis(image, 0, 1)):
        np.savez(path, cube=stored, wavelength_nm=np.arange(5) * 10 + 400)
        cube = open_cube(path)
        np.testing.assert_array_equal(cube.data.compute(), image)
        np.testing.assert_array_equal(cube.wavelengths, [400, 410, 420, 430, 440])


def test_frames_of_an_array_with_four_axes(image, tmp_path):
    path = tmp_path / "frames.npz"
    np.savez(path, frames=np.stack([image, image + 300, image + 600]), wavelength_nm=np.arange(5) * 10 + 400)
    stack = open_frames([path], reference=1)
    assert [frame.name for frame in stack.frames] == ["frames#0", "frames#1", "frames#2"]
    for k, frame in enumerate(stack.frames):
        np.testing.assert_array_equal(frame.data.compute(), image + 300 * k)
        np.testing.assert_array_equal(open_cube(frame.source).data.compute(), image + 300 * k)
    np.testing.assert_array_equal(open_cube(f"{path}#2").data.compute(), image + 600)
    with pytest.raises(ReadError, match="no frame 3"):
        open_cube(f"{path}#3")


def test_tables_of_spectra_are_refused(tmp_path):
    np.savez(tmp_path / "library.npz", reflectance=np.ones((30, 48)), wavelength_um=np.linspace(0.4, 2.5, 48))
    with pytest.raises(ReadError, match="table of spectra"):
        open_cube(tmp_path / "library.npz")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((5, 6, 7), np.nan), "holds no data"),
        (np.zeros((5, 6, 7)), "holds no data"),
        (np.ones((5, 6, 7), complex), "complex"),
        (np.full((5, 6, 7), "a"), "not numbers"),
        (np.ones(5), "no image"),
        (np.ones((2, 2, 2, 2, 2)), "no image"),
        (np.ones((0, 6, 7)), "no image"),
    ],
)
def test_arrays_that_are_no_image_are_refused(tmp_path, array, message):
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(ReadError, match=message) as error:
        open_cube(tmp_path / "bad.npy")
    assert "bad.npy" in str(error.value)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_file_cut_off_is_refused(image, tmp_path, suffix):
    path = tmp_path / f"cube{suffix}"
    if suffix == ".npy":
        np.save(path, image)
    else:
        np.savez_compressed(path, cube=image)
    content = path.read_bytes()
    for size in (3, 50, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ReadError, match=path.name):
            open_cube(path)


def test_damage_inside_an_archive_is_refused(tmp_path):
    path = tmp_path / "cube.npz"
    np.savez_compressed(path, cube=np.random.default_rng(0).random((5, 40, 40)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"cube\.npz"):
        open_cube(path)


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match="not numbers"):
        open_cube(tmp_path / "objects.npy")

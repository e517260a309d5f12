"""Names of cubes, folders, stacks, and what a cube's source is good for."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource
from hsimisr.errors import ReadError, StackError
from hsimisr.io.open import open_cube, open_frames, open_readable, parse_spec
from hsimisr.io.write import write_cube


def write_frames(folder: Path, image: np.ndarray, names: list[str]) -> None:
    for k, name in enumerate(names):
        write_cube(folder / name, Cube.from_array(image + 10 * k, wavelengths=np.arange(5) * 10 + 400))


def read_sum(source: CubeSource) -> float:
    return float(open_cube(source).read().sum())


@pytest.mark.parametrize("suffix", [".hdr", ".tif", ".nc", ".mat", ".zarr", ".npz"])
def test_another_process_opens_the_very_same_cube(image, tmp_path, suffix):
    write_frames(tmp_path, image, [f"scene{suffix}"])
    cube = open_cube(tmp_path / f"scene{suffix}")
    again = open_cube(pickle.loads(pickle.dumps(cube.source)))
    assert (again.name, again.source, again.notes) == (cube.name, cube.source, cube.notes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube.data)).compute(), image)


def test_a_spawned_process_reads_by_the_source_alone(image, tmp_path):
    write_frames(tmp_path, image, ["scene.hdr"])
    cube = open_cube(tmp_path / "scene.hdr")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_sum_by_path, (cube.source.path,)) == image.sum()


def read_sum_by_path(path: str) -> float:
    return read_sum(CubeSource(path))


def test_relative_paths_survive_a_change_of_folder(image, tmp_path, monkeypatch):
    write_frames(tmp_path, image, ["scene.hdr"])
    monkeypatch.chdir(tmp_path)
    cube = open_cube("scene.hdr")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(open_cube(cube.source).data.compute(), image)


def test_specs(image, tmp_path):
    write_frames(tmp_path, image, ["scene.npz"])
    (tmp_path / "a:b#1.npy").write_bytes(b"x")
    path = str(tmp_path / "scene.npz")
    assert parse_spec(path) == CubeSource(path)
    assert parse_spec(f"{path}:cube") == CubeSource(path, "cube")
    assert parse_spec(f"{path}:cube#2") == CubeSource(path, "cube", 2)
    assert parse_spec(str(CubeSource(path, "cube", 2))) == CubeSource(path, "cube", 2)
    assert parse_spec(tmp_path / "a:b#1.npy") == CubeSource(str(tmp_path / "a:b#1.npy"))
    for missing in ("nowhere.mat", "nowhere.mat:cube", ""):
        with pytest.raises(ReadError, match="no such file"):
            parse_spec(str(tmp_path / "folder" / missing))


def test_a_folder_stands_for_its_cubes_in_natural_order(image, tmp_path):
    write_frames(tmp_path, image, ["frame-10.hdr", "frame-9.hdr", "frame-1.tif"])
    write_cube(tmp_path / "frame-9.hdr", Cube.from_array(image), Cube.from_array(image))  # and frame-9_std
    write_cube(tmp_path / "frame-1-refined.nc", Cube.from_array(image))
    (tmp_path / "frame-1-refined.nc.json").write_text("{}")  # its sidecar says that it is no frame
    np.savez(tmp_path / "registration.npz", field_1=np.ones((2, 6, 7)))
    (tmp_path / "registration.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("sunny")
    stack = open_frames([tmp_path], reference=2)
    assert [frame.name for frame in stack.frames] == ["frame-1", "frame-9", "frame-10"]
    assert stack.reference_frame.name == "frame-10"


def test_a_folder_without_cubes_is_refused(tmp_path):
    with pytest.raises(ReadError, match="no cubes"):
        open_frames([tmp_path])
    with pytest.raises(ReadError, match="is a folder"):
        open_cube(tmp_path)


def test_frames_that_do_not_belong_together_are_refused(image, tmp_path):
    write_frames(tmp_path, image, ["a.hdr"])
    write_frames(tmp_path, image[:3].repeat(2, 0)[:5], ["b.hdr"])
    write_cube(tmp_path / "c.hdr", Cube.from_array(image[:3]))
    assert len(open_frames([tmp_path / "a.hdr", tmp_path / "b.hdr"])) == 2
    with pytest.raises(StackError, match="3 bands"):
        open_frames([tmp_path / "a.hdr", tmp_path / "c.hdr"])


@pytest.mark.parametrize("name", ["photo.png", "table.csv", "text.txt"])
def test_files_of_other_kinds_name_the_formats(tmp_path, name):
    (tmp_path / name).write_text("1,2,3")
    with pytest.raises(ReadError, match=r"ENVI .*TIFF"):
        open_cube(tmp_path / name)


@pytest.mark.parametrize("suffix", [".hdr", ".tif", ".mat", ".npy", ".npz", ".nc", ".h5", ".img", ""])
def test_empty_files_and_noise_give_one_clear_error(tmp_path, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"")
    with pytest.raises(ReadError, match=r"broken.*is empty"):
        open_cube(path)
    for seed in range(5):
        path.write_bytes(np.random.default_rng(seed).bytes(2000))
        with pytest.raises(ReadError, match="broken"):
            open_cube(path)


def test_an_array_name_where_there_is_only_one(image, tmp_path):
    write_frames(tmp_path, image, ["scene.tif"])
    with pytest.raises(ReadError, match="without :cube"):
        open_cube(f"{tmp_path / 'scene.tif'}:cube")


def test_what_can_be_read_is_opened_and_errors_stand_in_the_place_of_the_rest(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("1.npy", "3.npy"):
        np.save(folder / name, np.ones((4, 5, 6)))
    (folder / "2.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "last.npy", np.ones((4, 5, 6)))
    found = list(open_readable([folder, tmp_path / "absent.npy", tmp_path / "last.npy"]))
    names = [str(each) if isinstance(each, ReadError) else each.name for each in found]
    assert (names[0], names[2], names[4]) == ("1", "3", "last")
    assert "2.npy" in names[1]
    assert "absent.npy: no such file" in names[3]

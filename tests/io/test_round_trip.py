"""What is written comes back as it was, in every format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube

SUFFIXES = [".hdr", ".tif", ".nc", ".mat", ".zarr", ".npz"]
SEPARATE_STD = {".hdr", ".tif"}
TYPES = ["uint8", "int16", "uint16", "int32", "float32", "float64"]

numbers = st.floats(-1e6, 1e6, allow_nan=False)
sizes = st.floats(1e-3, 1e4)


@st.composite
def cubes(draw: st.DrawFn) -> Cube:
    """Cubes of any small shape with any of the metadata; no band is empty, as readers mark those."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(4, 7), st.integers(4, 7)))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    high = 250 if dtype.kind == "u" else 100
    data = draw(arrays(dtype, shape, elements=st.integers(1, high)))
    if dtype.kind == "f" and draw(st.booleans()):
        data[0, 0, 0] = np.nan
    bands = shape[0]
    vector = st.lists(st.floats(300, 3000), min_size=bands, max_size=bands)
    turn = draw(st.sampled_from([0.0, 0.25]))
    grid = st.builds(lambda x, dx, y, dy: (x, dx, turn, y, turn, -dy), numbers, sizes, numbers, sizes)
    return Cube.from_array(
        data,
        wavelengths=draw(st.none() | vector),
        fwhm=draw(st.none() | vector),
        bad=draw(st.lists(st.booleans(), min_size=bands, max_size=bands)),
        nodata=draw(st.sampled_from([None, 0.0, 255.0, -9999.0] + ([float("nan"), 0.1] if dtype.kind == "f" else []))),
        scale_factor=draw(st.sampled_from([1.0, 1e-4]) | sizes),
        crs=draw(st.sampled_from([None, "EPSG:32633", "EPSG:4326", "EPSG:32733"])),
        transform=draw(st.none() | grid),
        extra=draw(
            st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.booleans(), max_size=3)
        ),
    )


def assert_same_metadata(read: Cube, written: Cube) -> None:
    assert read.data.dtype == written.data.dtype
    np.testing.assert_array_equal(read.bad, written.bad)
    for key in ("wavelengths", "fwhm"):
        ours, theirs = getattr(read, key), getattr(written, key)
        assert (ours is None) == (theirs is None)
        assert ours is None or np.array_equal(ours, theirs)
    np.testing.assert_equal(read.nodata, written.nodata)
    for key in ("scale_factor", "crs", "transform"):
        assert getattr(read, key) == getattr(written, key)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cube=cubes(), with_std=st.booleans())
def test_cube_and_metadata_come_back_identical(suffix: str, cube: Cube, with_std: bool) -> None:
    error = Cube.from_array(np.abs(cube.data.compute()).astype(np.float32) / 7) if with_std else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"refined{suffix}"
        written = write_cube(path, cube, error, provenance={"seed": 3, "config": {"scale": 2}})
        assert all(part.exists() for part in written)
        read = open_cube(path)
        np.testing.assert_array_equal(read.data.compute(), cube.data.compute())
        assert_same_metadata(read, cube)
        assert dict(read.extra) == {**cube.extra, "provenance": {"seed": 3, "config": {"scale": 2}}}
        if error is not None:
            spec = path.with_name(f"refined_std{suffix}") if suffix in SEPARATE_STD else f"{path}:std"
            np.testing.assert_array_equal(open_cube(spec).data.compute(), error.data.compute())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bands", [1, 3])
def test_what_is_determined_stands_beside_the_cube_where_a_format_holds_both(suffix, bands, tmp_path) -> None:
    """On the frames' grid, and never taken for the cube."""
    values = np.arange(bands * 80, dtype=np.float32).reshape(bands, 8, 10)
    cube = Cube.from_array(values, transform=(100.0, 5.0, 0.0, 900.0, 0.0, -5.0))
    determined = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5)
    path = tmp_path / f"refined{suffix}"
    written = write_cube(path, cube, Cube.from_array(values), None, determined)
    np.testing.assert_array_equal(open_cube(path).data.compute(), values)
    if suffix in SEPARATE_STD:
        assert not any("determined" in part.name for part in written)
    else:
        np.testing.assert_array_equal(open_cube(f"{path}:determined").data.compute()[0], determined)


@pytest.fixture
def cube() -> Cube:
    return Cube.from_array(np.arange(1, 61, dtype=np.float32).reshape(3, 4, 5), wavelengths=[450.0, 550.0, 650.0])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cube_can_be_written_over_the_file_it_is_read_from(suffix: str, cube: Cube, tmp_path: Path) -> None:
    path = tmp_path / f"scene{suffix}"
    write_cube(path, cube)
    first = open_cube(path)
    write_cube(path, Cube(first.data * 2, wavelengths=first.wavelengths))
    np.testing.assert_array_equal(open_cube(path).data.compute(), cube.data.compute() * 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_write_leaves_the_existing_file_alone(suffix: str, cube: Cube, tmp_path: Path) -> None:
    path = tmp_path / f"scene{suffix}"
    write_cube(path, cube)
    before = sorted(tmp_path.rglob("*"))

    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left"):
        write_cube(path, Cube(cube.data.map_blocks(fail, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))))
    assert sorted(tmp_path.rglob("*")) == before
    np.testing.assert_array_equal(open_cube(path).data.compute(), cube.data.compute())


def test_an_unknown_suffix_lists_the_choices(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"\.png .* choose \.hdr"):
        write_cube(tmp_path / "cube.png", cube)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="nowhere"):
        write_cube(tmp_path / "nowhere" / "cube.hdr", cube)


def test_error_bars_of_another_shape_are_refused(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="standard deviation"):
        write_cube(tmp_path / "cube.nc", cube, Cube.from_array(np.ones((3, 4, 4))))


def test_a_folder_that_is_no_zarr_store_is_not_replaced(cube: Cube, tmp_path: Path) -> None:
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "diary.txt").write_text("keep me")
    with pytest.raises(WriteError, match="no Zarr store"):
        write_cube(tmp_path / "notes.zarr", cube)
    assert (tmp_path / "notes.zarr" / "diary.txt").read_text() == "keep me"


@pytest.mark.parametrize("suffix", [".hdr", ".mat", ".nc"])
def test_types_a_format_lacks_are_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="float32"):
        write_cube(tmp_path / f"cube{suffix}", Cube.from_array(np.ones((2, 4, 4), np.float16)))


@pytest.mark.parametrize("suffix", [".hdr", ".tif"])
def test_what_the_disk_has_no_room_for_is_refused_before_it_is_begun(tmp_path: Path, suffix: str) -> None:
    huge = Cube.from_array(da.zeros((1000, 10**6, 10**6), np.float32, chunks=10**5))
    with pytest.raises(WriteError, match="make room"):
        write_cube(tmp_path / f"huge{suffix}", huge)
    assert list(tmp_path.iterdir()) == []

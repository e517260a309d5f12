"""A result becomes files that hold all of it, or none; what was asked for is in them, and what they hold is named."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import Cancelled, WriteError
from hsimisr.geometry import View
from hsimisr.io.open import open_cube
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.save import Contents, save_result, sidecar_of

CRS = "EPSG:32633"
CORNER = (500000.0, 4.0, 0.0, 5200000.0, 0.0, -4.0)
SUFFIXES = (".hdr", ".tif", ".nc", ".mat", ".zarr", ".npz")


@pytest.fixture
def placed(stack) -> FrameStack:
    """The stack with wavelengths, band widths, names of bands and a place on the ground."""
    nm, fwhm = np.linspace(450, 950, stack.bands), np.full(stack.bands, 9.5)
    extra = {"band names": [f"b{k}" for k in range(stack.bands)]}
    frames = (
        replace(frame, wavelengths=nm, fwhm=fwhm, crs=CRS, transform=CORNER, extra=extra) for frame in stack.frames
    )
    return FrameStack(tuple(frames))


def with_bad_bands(result, *bands):
    """The result with bands that hold nothing."""
    bad = np.isin(np.arange(result.scene.subspace.bands), bands)
    subspace = replace(result.scene.subspace, bad=bad)
    scene = replace(result.scene, subspace=subspace)
    return replace(result, scene=scene, estimate=replace(result.estimate, subspace=subspace))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_values_wavelengths_and_the_finer_grid_are_in_the_file(tmp_path, finished, placed, suffix) -> None:
    out = tmp_path / f"refined{suffix}"
    saved = save_result(out, with_bad_bands(finished, 3), placed, seed=5)
    assert all(file.exists() for file in saved.files)
    read = open_cube(out)
    np.testing.assert_array_equal(read.read(), with_bad_bands(finished, 3).estimate.bands())
    np.testing.assert_array_equal(read.bad, np.arange(placed.bands) == 3)
    np.testing.assert_array_equal(read.wavelengths, placed.reference_frame.wavelengths)
    np.testing.assert_array_equal(read.fwhm, placed.reference_frame.fwhm)
    assert (read.crs, read.transform) == (CRS, (500000.0, 2.0, 0.0, 5200000.0, 0.0, -2.0))
    told = json.loads(sidecar_of(out).read_text())
    assert read.extra["provenance"] == told
    assert (told["seed"], told["product"], told["config"]["scale"]) == (5, "refined", 2)
    assert [frame["name"] for frame in told["frames"]] == [frame.name for frame in placed.frames]


def test_only_what_was_asked_for_is_written(tmp_path, finished, placed) -> None:
    save_result(tmp_path / "all.npz", finished, placed)
    save_result(tmp_path / "bare.npz", finished, placed, contents=Contents(std=False, determined=False))
    with np.load(tmp_path / "all.npz") as file:
        assert {"cube", "std", "determined"} <= set(file.files)
    with np.load(tmp_path / "bare.npz") as file:
        assert not {"std", "determined"} & set(file.files)


@pytest.mark.parametrize("suffix", [".hdr", ".tif", ".nc"])
def test_good_bands_alone_keep_their_own_metadata(tmp_path, finished, placed, suffix) -> None:
    out = tmp_path / f"good{suffix}"
    save_result(out, with_bad_bands(finished, 0, 7), placed, contents=Contents(good_bands_only=True))
    read, good = open_cube(out), [k for k in range(placed.bands) if k not in (0, 7)]
    assert read.bands == placed.bands - 2
    assert not read.bad.any()
    assert np.isfinite(read.read()).all()
    np.testing.assert_array_equal(read.read(), finished.estimate.bands()[good])
    np.testing.assert_array_equal(read.wavelengths, placed.reference_frame.wavelengths[good])
    assert read.extra["band names"] == [f"b{k}" for k in good]


def test_a_sample_is_named_so(tmp_path, finished, stack) -> None:
    config = PipelineConfig.build(options={"diffuse": {"method": "proximal", "product": "sample"}})
    out = tmp_path / "one.hdr"
    saved = save_result(out, replace(finished, config=config), stack)
    assert saved.provenance["product"] == "refined sample"
    assert "refined sample" in out.read_text()
    mean = PipelineConfig.build(options={"diffuse": {"method": "proximal"}})
    assert save_result(out, replace(finished, config=mean), stack).provenance["product"] == "refined"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_is_stopped_leaves_what_was_there(tmp_path, finished, stack, suffix) -> None:
    out = tmp_path / f"refined{suffix}"
    save_result(out, finished, stack)
    before = open_cube(out).read()
    names = sorted(part.name for part in tmp_path.iterdir())

    def stop(done: int, total: int) -> None:
        if done == total:
            raise Cancelled

    other = replace(finished, estimate=replace(finished.estimate, mean=finished.estimate.mean + 1))
    with pytest.raises(Cancelled):
        save_result(out, other, stack, watch=stop)
    assert sorted(part.name for part in tmp_path.iterdir()) == names
    np.testing.assert_array_equal(open_cube(out).read(), before)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_block_is_told_once(tmp_path, finished, stack, suffix) -> None:
    told, lock = [], threading.Lock()

    def watch(done: int, total: int) -> None:
        with lock:
            told.append((done, total))

    save_result(tmp_path / f"refined{suffix}", finished, stack, watch=watch)
    assert told == [(k, len(told)) for k in range(1, len(told) + 1)]


def test_a_provisional_result_is_refused(tmp_path, finished, stack) -> None:
    provisional = replace(finished, scene=replace(finished.scene, provisional=True))
    with pytest.raises(WriteError, match="provisional"):
        save_result(tmp_path / "a.npz", provisional, stack)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_frame_has_its_own_corner(tmp_path, simulation, carry_out, placed) -> None:
    result = carry_out(simulation.frames, view=View(8, 24, 4, 20)).end.result
    save_result(tmp_path / "part.tif", result, placed)
    assert open_cube(tmp_path / "part.tif").transform == (500016.0, 2.0, 0.0, 5199968.0, 0.0, -2.0)


def test_a_cube_without_bad_bands_is_the_same(stack) -> None:
    cube = Cube.from_array(np.zeros((3, 4, 4), np.float32), bad=[False, True, False], extra={"names": ["a", "b", "c"]})
    assert cube.good_bands().bands == 2
    assert cube.good_bands().extra == {"names": ["a", "c"]}
    assert stack.reference_frame.good_bands().bands == stack.bands

"""The working folder: what a second run finds there, and when it has to begin anew."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import FrameStack
from hsimisr.errors import WriteError
from hsimisr.geometry import View, translation
from hsimisr.io.open import open_frames
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.tile_store import open_store, request_of, store_folder

VIEW = View(0, 60, 0, 40)
REQUEST = {"scale": 2}


@pytest.fixture
def files(simulation, tmp_path):
    """Two frames as NumPy files."""
    paths = [tmp_path / f"{k}.npy" for k in range(2)]
    for path, frame in zip(paths, simulation.frames, strict=False):
        np.save(path, frame)
    return paths


def test_the_same_request_finds_its_tiles_again(finished, tmp_path):
    store, note = open_store(tmp_path / "a.zarr", VIEW, REQUEST)
    assert (note, store.scene, store.side, store.progress()) == ("", None, None, (0, 0))
    store.keep_scene(finished.scene)
    tiles = store.cut(24)
    next(iter(tiles.values())).mkdir()
    again, note = open_store(tmp_path / "a.zarr", VIEW, REQUEST)
    assert note == f"resuming: 1 of {len(tiles)} tiles are there"
    assert again.side == 24
    assert again.cut(24) == tiles
    np.testing.assert_array_equal(again.scene.subspace.vectors, finished.scene.subspace.vectors)


def test_another_request_begins_anew(tmp_path):
    store, _ = open_store(tmp_path / "a.zarr", VIEW, REQUEST)
    next(iter(store.cut(24).values())).mkdir()
    store, note = open_store(tmp_path / "a.zarr", VIEW, {"scale": 3})
    assert "another request" in note
    assert store.progress() == (0, 0)
    assert open_store(tmp_path / "a.zarr", VIEW, {"scale": 3})[1] == "resuming: no tile is there yet"


def test_tiles_of_another_side_go(tmp_path):
    store, _ = open_store(tmp_path / "a.zarr", VIEW, REQUEST)
    next(iter(store.cut(48).values())).mkdir()
    store.cut(24)
    assert store.side == 24
    assert store.progress()[0] == 0


def test_things_of_others_are_not_touched(tmp_path):
    folder = store_folder(tmp_path / "a.zarr")
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(WriteError, match=r"no tiles; move it away"):
        open_store(tmp_path / "a.zarr", VIEW, REQUEST)
    assert (folder / "thesis.tex").exists()


def test_whatever_the_tiles_follow_from_makes_another_request(files):
    stack, config = open_frames(files), PipelineConfig()
    known = Registration((FrameMotion(np.eye(3)), FrameMotion(translation((0.5, 0)))))
    requests = [
        request_of(stack, config, VIEW, None, 0),
        request_of(FrameStack(stack.frames[::-1]), config, VIEW, None, 0),
        request_of(FrameStack(stack.frames, 1), config, VIEW, None, 0),
        request_of(stack, PipelineConfig(scale=3), VIEW, None, 0),
        request_of(stack, config, View(0, 60, 0, 41), None, 0),
        request_of(stack, config, VIEW, known, 0),
        request_of(stack, config, VIEW, None, 1),
        request_of(FrameStack((replace(stack.frames[0], nodata=0.0), stack.frames[1])), config, VIEW, None, 0),
    ]
    os.utime(files[1], (1, 1))
    requests.append(request_of(stack, config, VIEW, None, 0))
    assert all(a != b for n, a in enumerate(requests) for b in requests[:n])
    assert request_of(open_frames(files), config, VIEW, None, 0) == requests[-1]


def test_the_data_of_a_header_count_too(simulation, tmp_path):
    from hsimisr.cube import Cube
    from hsimisr.io.write import write_cube

    write_cube(tmp_path / "a.hdr", Cube.from_array(simulation.frames[0]))
    stack = open_frames([tmp_path / "a.hdr"])
    before = request_of(stack, PipelineConfig(), VIEW, None, 0)
    os.utime(tmp_path / "a.img", (1, 1))
    assert request_of(stack, PipelineConfig(), VIEW, None, 0) != before

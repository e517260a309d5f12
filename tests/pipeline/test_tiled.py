"""Tiles on disk against the same tiles in memory."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import Cancelled, StackError
from hsimisr.geometry import View
from hsimisr.physics.types import Estimate
from hsimisr.pipeline import tiled
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.events import Progress
from hsimisr.pipeline.export import determined_map, refined_cube, uncertainty_cube
from hsimisr.pipeline.reconstruct import _by_tiles
from hsimisr.pipeline.tile_store import open_store
from hsimisr.pipeline.tiled import refine_tiled
from hsimisr.pipeline.tiles import SMALLEST

VIEW = View(1, 32, 0, 30)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiled, "tile_side", lambda *_: SMALLEST)


@pytest.fixture
def store(tmp_path, finished):
    """The store of a view whose scene model is known already."""
    store, _ = open_store(tmp_path / "a.zarr", VIEW, {})
    store.keep_scene(finished.scene)
    return store


def quiet(sink=lambda event: None):
    return Context(0, torch.device("cpu"), 0, sink, threading.Event())


def test_disk_and_memory_give_the_same_cubes(stack, finished, store):
    """The same tiles in the same order; only the average over tiles of the spread is rounded another way."""
    config = PipelineConfig()
    result = refine_tiled(stack, config, store, quiet())
    memory = _by_tiles(stack, finished.scene, VIEW, config.invert, quiet(), True, True, SMALLEST)
    assert result.grid == memory.grid
    peak = float(np.nanmax(memory.bands()))
    for part, whole in (
        (refined_cube(result, stack.reference_frame), memory.bands()),
        (uncertainty_cube(result, stack.reference_frame), memory.std()),
    ):
        assert part.data.shape == whole.shape
        np.testing.assert_allclose(part.read(), whole, rtol=0, atol=4 * np.finfo(np.float32).eps * peak)
    np.testing.assert_array_equal(determined_map(result), memory.determined)


def test_blocks_have_no_seams(stack, finished, store, monkeypatch):
    """The residual is interpolated across the edges of blocks."""
    from hsimisr.pipeline import export

    result = refine_tiled(stack, PipelineConfig(), store, quiet())
    one = refined_cube(result, stack.reference_frame)
    monkeypatch.setattr(export, "BLOCK", 6)
    monkeypatch.setattr(export, "FILE_CHUNK", 6)
    many = refined_cube(result, stack.reference_frame)
    assert many.data.npartitions > 20 * one.data.npartitions
    np.testing.assert_allclose(many.read(), one.read(), rtol=0, atol=4 * np.finfo(np.float32).eps * np.ptp(one.read()))


def test_a_run_goes_on_where_another_was_stopped(stack, store):
    def stop_at_the_third(event):
        if isinstance(event, Progress) and event.step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        refine_tiled(stack, PipelineConfig(), store, quiet(stop_at_the_third))
    assert store.progress()[0] == 2
    done = {path: path.stat().st_mtime_ns for path in store.cut(SMALLEST).values() if path.exists()}
    result = refine_tiled(stack, PipelineConfig(), store, quiet())
    assert all(path.stat().st_mtime_ns == written for path, written in done.items())
    resumed = refined_cube(result, stack.reference_frame).read()
    for path in result.tiles.values():
        shutil.rmtree(path)
    again = refine_tiled(stack, PipelineConfig(), store, quiet())
    np.testing.assert_array_equal(resumed, refined_cube(again, stack.reference_frame).read())


def test_the_scene_model_is_that_of_the_first_run(stack, finished, store):
    """Else tiles of two runs would not fit together."""
    other = replace(finished.scene, subspace=replace(finished.scene.subspace, mean=finished.scene.subspace.mean + 1))
    store.keep_scene(other)
    result = refine_tiled(stack, PipelineConfig(), store, quiet())
    np.testing.assert_array_equal(result.scene.subspace.mean, other.subspace.mean)


def test_without_error_bars_there_is_no_std(stack, finished, store):
    config = PipelineConfig.build(options={"uncertainty": {"method": "none"}, "subspace": {"residual": False}})
    result = refine_tiled(stack, config, store, quiet())
    assert uncertainty_cube(result, stack.reference_frame) is None
    assert determined_map(result) is None
    part: Estimate = result.part(VIEW, slice(0, 3))
    assert part.variance is None
    assert part.residual is None
    assert part.bands().shape == (3, 62, 60)


def test_a_view_without_data_is_refused(finished, store):
    empty = FrameStack(tuple(Cube.from_array(np.full((12, 32, 32), np.nan, np.float32)) for _ in range(4)))
    with pytest.raises(StackError, match=f"no frame holds a valid pixel in {VIEW}"):
        refine_tiled(empty, PipelineConfig(), store, quiet())

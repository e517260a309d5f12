"""Messages keep their arrays, arrays stay out of the pickle, and files do not stay behind."""

from __future__ import annotations

import gc
import io
import pickle
import sys
import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.job import Job
from napari_hsimisr.transport import MAPPED_FROM, receive, send


def cross(message: object, folder: Path) -> tuple[object, int]:
    """What arrives of a message, and the bytes it took on the pipe."""
    pipe = io.BytesIO()
    send(pipe, message, folder)
    pipe.seek(0)
    return receive(pipe, folder), len(pipe.getvalue())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_large_arrays_arrive_equal_and_off_the_pipe(tmp_path: Path, dtype: type) -> None:
    small = np.arange(5, dtype=dtype)
    large = np.random.default_rng(0).integers(0, 1000, (7, 150, 201)).astype(dtype)

    arrived, on_the_pipe = cross({"small": small, "large": large, "again": large[::2].copy()}, tmp_path)

    assert isinstance(arrived, dict)
    np.testing.assert_array_equal(arrived["small"], small)
    np.testing.assert_array_equal(arrived["large"], large)
    np.testing.assert_array_equal(arrived["again"], large[::2])
    assert on_the_pipe < MAPPED_FROM


def test_the_file_is_gone_as_soon_as_the_message_has_arrived(tmp_path: Path) -> None:
    arrived, _ = cross(np.ones((300, 300)), tmp_path)
    assert list(tmp_path.iterdir()) == []
    part = arrived[10:20]  # type: ignore[index]
    del arrived
    gc.collect()
    assert part.sum() == 10 * 300  # the pages live as long as a view of them


def test_a_job_with_a_cube_that_exists_only_in_memory_crosses(tmp_path: Path) -> None:
    data = np.random.default_rng(1).normal(size=(20, 64, 64)).astype(np.float32)
    in_memory = Cube(da.from_array(data, name=False), wavelengths=np.linspace(400, 900, 20), name="mine")
    job = Job(3, (in_memory, CubeSource("scene.mat", "data", 2)), PipelineConfig(scale=3))

    arrived, on_the_pipe = cross(job, tmp_path)

    assert isinstance(arrived, Job)
    first, second = arrived.frames
    assert isinstance(first, Cube)
    np.testing.assert_array_equal(first.read(), data)
    assert (first.name, second, arrived.config) == ("mine", CubeSource("scene.mat", "data", 2), PipelineConfig(scale=3))
    assert on_the_pipe < MAPPED_FROM


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files")
def test_a_full_disk_leaves_no_part_of_a_file_behind(tmp_path: Path) -> None:
    import resource

    pipe = io.BytesIO()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            send(pipe, np.ones(2**18), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    assert pipe.getvalue() == b""


def test_what_cannot_be_pickled_is_one_kind_of_error_and_puts_nothing_on_the_pipe(tmp_path: Path) -> None:
    pipe = io.BytesIO()
    for message in (lambda: 0, threading.Lock()):
        with pytest.raises(pickle.PicklingError):
            send(pipe, message, tmp_path)
    assert pipe.getvalue() == b""


def test_a_closed_pipe_is_an_end_of_file(tmp_path: Path) -> None:
    with pytest.raises(EOFError):
        receive(io.BytesIO(), tmp_path)

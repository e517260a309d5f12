"""What keeps workers from the work is told before it begins."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import hsimisr
from hsimisr.errors import ConfigError, MemoryLimitError, StackError
from hsimisr.geometry import View
from hsimisr.io.open import open_frames
from hsimisr.pipeline import workers
from hsimisr.pipeline.workers import Workers, connect, start_workers


def test_frames_that_come_from_no_file_cannot_be_shared(stack, tmp_path):
    with pytest.raises(StackError, match="frame 0 comes from no file"):
        Workers(None, "cpu").check(stack, tmp_path)


@pytest.mark.parametrize(
    ("begin", "option"),
    [(lambda: start_workers(2, "cpu"), "--workers"), (lambda: connect("tcp://127.0.0.1:9", "cpu"), "--scheduler")],
)
def test_a_missing_extra_is_said_with_how_to_install_it(monkeypatch, begin, option):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=rf"{option} needs dask.distributed; .*pip install.*\[cluster\]"), begin():
        pass


def test_a_worker_says_what_it_lacks(tmp_path):
    assert workers._problem([tmp_path], hsimisr.__version__) == ""
    assert "file system that all workers share" in workers._problem([tmp_path / "far"], hsimisr.__version__)
    assert "install the same" in workers._problem([tmp_path], "0.0.0")


def test_a_cluster_without_workers_is_told_so():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, processes=True, dashboard_address=None) as cluster,
        pytest.raises(ConfigError, match="has no workers"),
        connect(cluster.scheduler_address, "cpu"),
    ):
        pass


def test_dead_workers_and_bugs_name_the_tile():
    from distributed import KilledWorker

    tile = View(0, 8, 4, 12)
    workers._check_made(None, tile)
    with pytest.raises(MemoryLimitError, match=f"died while they made tile {tile}.*fewer --workers"):
        workers._check_made(KilledWorker("task", None, 3), tile)
    with pytest.raises(StackError, match="as it was"):
        workers._check_made(StackError("as it was"), tile)
    with pytest.raises(RuntimeError, match=f"tile {tile} failed on a worker"):
        workers._check_made(KeyError("bug"), tile)


def test_a_worker_opens_the_frames_once(simulation, tmp_path):
    paths = [tmp_path / f"{k}.npy" for k in range(2)]
    for path, frame in zip(paths, simulation.frames, strict=False):
        np.save(path, frame)
    remote = workers._RemoteJob(None, workers._sources(open_frames(paths, 1)), 1, "cpu")
    assert remote.stack is remote.stack
    assert [frame.source.path for frame in remote.stack.frames] == [str(path) for path in paths]
    assert remote.stack.reference == 1

"""`hsimisr refine` with tiles on disk: killed and run again, shared among workers, and with little memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hsimisr.cube import Cube
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.tile_store import TileStore, store_folder

QUICK = ("--set", "invert.rounds=0", "--set", "register.method=gauss_newton", "--set", "subspace.rank=3")
SIDE = 24
MAIN = """
import sys
from hsimisr.cli import app, tiled_run
from hsimisr.pipeline import tiled
side = int(sys.argv.pop(1))
tiled.tile_side = lambda *_: side
tiled_run.fits = lambda *_: False
app.main()
"""
"""The command line with tiles of a given side on disk, however small the result is."""


def start(*arguments, side=SIDE):
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, str(side), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in its background has them ignore the signal, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def run_in_tiles(run, monkeypatch):
    """The same in this process."""
    from hsimisr.cli import tiled_run
    from hsimisr.pipeline import tiled

    monkeypatch.setattr(tiled, "tile_side", lambda *_: SIDE)
    monkeypatch.setattr(tiled_run, "fits", lambda *_: False)
    return run


def interrupt(process, out: Path, number: int) -> dict[Path, int]:
    """Send a signal to a run once two tiles are done; gives the tiles and when they were written."""
    folder = store_folder(out) / f"tiles-{SIDE}"
    deadline = time.monotonic() + 60
    while len(list(folder.glob("[0-9]*.zarr"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(60)
    return {path: path.stat().st_mtime_ns for path in folder.glob("[0-9]*.zarr")}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two frames of 96 x 96 pixels and 6 bands, as ENVI files."""
    folder, random = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    images = gaussian_filter(random.random((3, 208, 208)), (0, 1.5, 1.5))
    scene = np.einsum("br,ryx->byx", random.random((6, 3)), images).astype(np.float32)
    for k, frame in enumerate(simulate(scene, 2, 2, snr=30, max_shift=1.5, seed=1).frames):
        write_cube(folder / f"{k}.hdr", Cube.from_array(frame))
    return [folder / "0.hdr", folder / "1.hdr"]


def same(a: Path, b: Path) -> None:
    for variable in ("cube", "std"):
        np.testing.assert_array_equal(open_cube(f"{a}:{variable}").read(), open_cube(f"{b}:{variable}").read())


def test_a_killed_run_goes_on_and_ends_the_same(run_in_tiles, frames, tmp_path, monkeypatch):
    out, smooth = tmp_path / "a.zarr", tmp_path / "smooth.zarr"
    done = interrupt(start("refine", *frames, *QUICK, "--out", out), out, signal.SIGKILL)
    assert len(done) >= 2
    assert not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(TileStore, "remove", lambda self: None)  # to look at the tiles afterwards
        code, _, err = run_in_tiles("refine", *frames, *QUICK, "--out", out)
    assert (code, err) == (0, f"resuming: {len(done)} of 25 tiles are there\n")
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert run_in_tiles("refine", *frames, *QUICK, "--out", smooth)[0] == 0
    same(out, smooth)
    assert not store_folder(smooth).exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_tells_where_the_tiles_are_and_another_request_discards_them(run_in_tiles, frames, tmp_path):
    out = tmp_path / "a.zarr"
    process = start("refine", *frames, *QUICK, "--out", out)
    done = interrupt(process, out, signal.SIGINT)
    assert process.returncode == 130
    told = process.stderr.read().splitlines()
    assert told[0].startswith(f"{len(done)} of 25 tiles are kept in {store_folder(out)}")
    assert told[1] == "hsimisr: stopped; no file is left half-written"
    code, _, err = run_in_tiles("refine", *frames, *QUICK, "--out", out, "--view", "0:30,0:30")
    assert code == 0
    assert "tiles of another request, they are discarded" in err
    assert open_cube(out).data.shape == (6, 60, 60)


@pytest.fixture
def threads_of_a_worker(monkeypatch):
    """As many threads as each of two workers has: more add up in another order, which shows in the last bit."""
    before, share = torch.get_num_threads(), max(len(os.sched_getaffinity(0)) // 2, 1)
    monkeypatch.setattr("hsimisr.pipeline.device.use_available_threads", lambda: torch.set_num_threads(share))
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the number of cores is not known here")
@pytest.mark.usefixtures("threads_of_a_worker")
def test_workers_make_the_same_cube(run_in_tiles, frames, tmp_path):
    out, alone = tmp_path / "a.zarr", tmp_path / "alone.zarr"
    assert run_in_tiles("refine", *frames, *QUICK, "--out", alone)[0] == 0
    code, said, err = run_in_tiles("refine", *frames, *QUICK, "--out", out, "--workers", 2, "--truth", alone)
    same(out, alone)
    assert (code, err) == (0, "")
    assert "from 2 of 2 frames" in said
    sidecar = json.loads((tmp_path / "a.zarr.json").read_text())
    assert sidecar["device"] == "2 workers, auto"
    assert sidecar["view"] == "0:96,0:96"
    assert sidecar["metrics"]["rmse"] == 0
    assert not store_folder(out).exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_does_not_answer_is_one_line(run, frames, tmp_path, monkeypatch, address):
    monkeypatch.setattr("hsimisr.pipeline.workers.CONNECT_S", 0.5)
    code, out, err = run("refine", *frames, "--out", tmp_path / "a.zarr", "--scheduler", address)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"--scheduler {address}: no dask scheduler answers there" in err
    assert list(tmp_path.iterdir()) == []


def test_one_way_to_spread_at_a_time(run, frames, tmp_path):
    code, _, err = run("refine", *frames, "--out", tmp_path / "a.zarr", "--scheduler", "tcp://a:1", "--workers", 2)
    assert code == 2
    assert "not both" in err


def test_what_has_to_be_in_memory_is_told_before_the_work(run_in_tiles, frames, tmp_path, monkeypatch):
    monkeypatch.setattr("hsimisr.pipeline.memory.SHARE", 0)
    for wrong, message in (
        (("--out", tmp_path / "a.npz"), "save as .zarr"),
        (("--out", tmp_path / "a.zarr", "--truth", frames[0], "--scale", "1"), "refine a --view"),
    ):
        code, _, err = run_in_tiles("refine", *frames, *QUICK, *wrong)
        assert (code, err.count("\n")) == (1, 1)
        assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell which memory is a file's")
def test_memory_is_set_by_the_tile_not_by_the_cube(tmp_path):
    """Once the scene is known, tiles and blocks add little, while cube and error bars take 184 MB."""
    random = np.random.default_rng(0)
    scene = np.einsum("br,ryx->byx", random.random((64, 3)), random.random((3, 300, 300)))
    for k in range(2):
        frame = scene + random.normal(0, 0.01, scene.shape)
        write_cube(tmp_path / f"{k}.hdr", Cube.from_array(frame.astype(np.float32)))
    frames, out = (tmp_path / "0.hdr", tmp_path / "1.hdr"), tmp_path / "a.zarr"
    process = start("refine", *frames, *QUICK, "--set", "register.method=none", "--out", out, side=64)
    own, known = [], 0
    while process.poll() is None:
        memory = psutil.Process(process.pid).memory_info()
        own.append(memory.rss - memory.shared)  # pages of files that are mapped can be dropped at any time
        if not known and (store_folder(out) / "scene.npz").exists():
            known = max(own)
        time.sleep(0.01)
    assert process.returncode == 0, process.stderr.read()
    assert known > 0
    refined_and_std = 2 * open_cube(out).data.nbytes
    assert refined_and_std > 180e6
    assert max(own) - known < refined_and_std / 3

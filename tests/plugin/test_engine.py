"""The engine process: every job ends exactly once, the newest view wins, and a death is survived."""

from __future__ import annotations

import importlib
import os
import queue
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource
from hsimisr.geometry import View
from hsimisr.io.open import open_frames
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Cancelled, Event, Failed, Finished, HeldOut, Preview, Progress
from hsimisr.pipeline.job import Job
from hsimisr.pipeline.run import run
from napari_hsimisr.engine import Engine

QUICK = PipelineConfig()
ENDLESS = PipelineConfig.model_validate({"scale": 8, "invert": {"method": "tv", "iterations": 2000}})
Frames = tuple[Cube, ...]


class Watched:
    """An engine and the events it has sent."""

    def __init__(self, runner: str = "hsimisr.pipeline.run:run") -> None:
        self.events: list[Event] = []
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.engine = Engine(self._queue.put, runner)
        self.engine.start()

    def next_of(self, job: int, *kinds: type) -> Event:
        """Wait for an event of a job; the ones before it are kept too."""
        while True:
            event = self._queue.get(timeout=90)
            self.events.append(event)
            if event.job == job and isinstance(event, kinds):
                return event

    def end_of(self, job: int) -> Event:
        return self.next_of(job, Finished, Failed, Cancelled)

    def ends(self) -> list[int]:
        return [event.job for event in self.events if isinstance(event, Finished | Failed | Cancelled)]


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    pid = watched.engine.pid
    watched.engine.close()
    assert pid is None or not alive(pid), "the process outlived its engine"


@pytest.fixture(scope="module")
def frames() -> Frames:
    sample = Path(__file__).resolve().parents[2] / "sample_data" / "frames.npz"
    return open_frames([sample]).frames


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_gives_the_same_estimate_as_in_this_process(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, QUICK))
    there = watched.end_of(1)
    here: list[Event] = []

    class Never:
        def is_set(self) -> bool:
            return False

    run(Job(1, frames, QUICK), here.append, Never())

    assert isinstance(there, Finished)
    assert isinstance(here[-1], Finished)
    expected = here[-1].result.estimate
    sigma = np.sqrt(np.asarray(expected.variance))
    # not the same bits: the two processes may use a different number of threads
    assert np.abs(there.result.estimate.mean - expected.mean).max() <= 0.01 * sigma.max()
    assert any(isinstance(event, Preview) for event in watched.events)


def test_cubes_that_exist_only_in_memory_are_refined_too(watched: Watched, frames: Frames) -> None:
    in_memory = tuple(Cube.from_array(frame.read(), wavelengths=frame.wavelengths) for frame in frames[:3])
    watched.engine.submit(Job(1, in_memory, QUICK))
    assert isinstance(watched.end_of(1), Finished)


def test_what_held_out_frames_say_during_an_adaptation_arrives(watched: Watched, frames: Frames) -> None:
    learned = {"refine": {"method": "refiner"}, "adapt": {"method": "ttt", "steps": 1, "lessons": 1, "cycle": 0}}
    watched.engine.submit(Job(1, frames[:3], PipelineConfig.model_validate(learned), view=View(0, 24, 0, 24)))
    end = watched.end_of(1)
    assert isinstance(end, Finished)
    told = [event.misfit for event in watched.events if isinstance(event, HeldOut)]
    assert len(told) == 2
    assert end.result.diagnostics["learned"]["adapt"]["held_out_misfit"] == [told[0], min(told)]


def test_a_cancelled_job_ends_and_the_next_one_runs(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, ENDLESS, kind="cube"))
    watched.next_of(1, Progress)
    watched.engine.cancel(1)
    assert isinstance(watched.end_of(1), Cancelled)
    watched.engine.submit(Job(2, frames, QUICK))
    assert isinstance(watched.end_of(2), Finished)


def test_the_newest_view_job_takes_the_place_of_older_ones(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, ENDLESS))
    watched.next_of(1, Progress)
    for number in (2, 3):
        watched.engine.submit(Job(number, frames, QUICK))
    assert isinstance(watched.end_of(3), Finished)

    ended = {event.job: type(event) for event in watched.events if isinstance(event, Finished | Failed | Cancelled)}
    assert ended == {1: Cancelled, 2: Cancelled, 3: Finished}
    assert sorted(watched.ends()) == [1, 2, 3]


def test_a_cube_job_is_not_dropped_for_a_view_job(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, QUICK, kind="cube"))
    watched.engine.submit(Job(2, frames, QUICK))
    watched.engine.submit(Job(3, frames, QUICK))
    assert isinstance(watched.end_of(3), Finished)
    ended = {event.job: type(event) for event in watched.events if isinstance(event, Finished | Failed | Cancelled)}
    assert ended == {1: Finished, 2: Cancelled, 3: Finished}


def test_an_error_in_the_data_names_the_file(watched: Watched) -> None:
    watched.engine.submit(Job(1, (CubeSource("no-such-scene.hdr"),), QUICK))
    end = watched.end_of(1)
    assert isinstance(end, Failed)
    assert "no-such-scene.hdr" in end.error


def test_a_job_that_cannot_be_handed_over_does_not_hold_up_the_next_one(watched: Watched, frames: Frames) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise ValueError("the tape is torn")

    unreadable = da.zeros((2, 4, 4)).map_blocks(fail, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    watched.engine.submit(Job(1, frames, ENDLESS, kind="cube"))
    watched.next_of(1, Progress)
    watched.engine.submit(Job(2, (Cube(unreadable),), QUICK, kind="cube"))
    watched.engine.submit(Job(3, frames, QUICK, kind="cube"))
    watched.engine.cancel(1)
    end = watched.end_of(2)
    assert isinstance(end, Failed)
    assert "the tape is torn" in end.error
    assert isinstance(watched.end_of(3), Finished)


def test_a_frame_with_metadata_that_cannot_cross_fails_its_job_alone(watched: Watched, frames: Frames) -> None:
    local = Cube.from_array(np.ones((2, 8, 8), np.float32), extra={"reader": lambda: None})
    watched.engine.submit(Job(1, (local,), QUICK))
    end = watched.end_of(1)
    assert isinstance(end, Failed)
    assert "cannot hand the frames over" in end.error
    watched.engine.submit(Job(2, frames, QUICK))
    assert isinstance(watched.end_of(2), Finished)


class OnlyHere:
    """Pickles, but cannot be made from the pickle: its module is not there."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return importlib.import_module, ("hsimisr_no_such_module",)


def test_a_request_that_the_process_does_not_understand_ends_that_process_alone(
    watched: Watched, frames: Frames
) -> None:
    odd = Cube.from_array(np.ones((2, 8, 8), np.float32), extra={"sensor": OnlyHere()})
    watched.engine.submit(Job(1, frames, QUICK))
    watched.end_of(1)
    deaf = watched.engine.pid
    assert deaf is not None
    watched.engine.submit(Job(2, (odd,), QUICK))
    end = watched.end_of(2)
    assert isinstance(end, Failed)
    assert "exit code 1" in end.error
    watched.engine.submit(Job(3, frames, QUICK))
    assert isinstance(watched.end_of(3), Finished)
    assert not alive(deaf)


def test_an_answer_that_the_engine_does_not_understand_fails_the_job(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "babble.py").write_text(
        "import importlib\n"
        "class OnlyThere:\n"
        "    def __reduce__(self): return importlib.import_module, ('hsimisr_no_such_module',)\n"
        "def run(job, sink, cancel, cache): sink(OnlyThere())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    watched = Watched("babble:run")
    for number in (1, 2):  # the second one by the process that replaced the first
        watched.engine.submit(Job(number, (), QUICK))
        assert isinstance(watched.end_of(number), Failed)
    watched.engine.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits another process's memory")
def test_a_job_that_runs_out_of_memory_fails_and_the_engine_lives_on(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, QUICK))
    watched.end_of(1)
    pid = watched.engine.pid
    assert pid is not None
    in_use = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (in_use + 2**20, hard))
    watched.engine.submit(Job(2, frames, PipelineConfig(scale=8), kind="cube"))
    end = watched.end_of(2)
    assert isinstance(end, Failed)
    assert "memory" in end.error + end.hint

    if watched.engine.pid == pid:
        resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
    watched.engine.submit(Job(3, frames, QUICK))
    assert isinstance(watched.end_of(3), Finished)


def test_a_killed_process_fails_its_job_and_is_replaced(watched: Watched, frames: Frames) -> None:
    watched.engine.submit(Job(1, frames, ENDLESS, kind="cube"))
    watched.next_of(1, Progress)
    killed = watched.engine.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)

    end = watched.end_of(1)
    assert isinstance(end, Failed)
    assert "signal 9" in end.error
    assert end.hint
    watched.engine.submit(Job(2, frames, QUICK))
    assert isinstance(watched.end_of(2), Finished)
    assert watched.engine.pid != killed
    assert not alive(killed), "the killed process was not reaped"


def test_a_process_that_cannot_start_fails_each_job_once() -> None:
    watched = Watched(runner="hsimisr.no_such_module:run")
    for number in (1, 2):
        watched.engine.submit(Job(number, (), QUICK))
        end = watched.end_of(number)
        assert isinstance(end, Failed)
        assert "could not start" in end.error
    watched.engine.close()
    assert watched.ends() == [1, 2]


def test_closing_during_a_job_leaves_neither_process_nor_files(frames: Frames, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    watched = Watched()
    in_memory = tuple(Cube.from_array(frame.read()) for frame in frames)
    watched.engine.submit(Job(1, in_memory, ENDLESS, kind="cube"))
    watched.next_of(1, Progress)
    pid = watched.engine.pid
    assert pid is not None
    start = time.monotonic()
    watched.engine.close()
    assert time.monotonic() - start < 2
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []

"""What a person does at the wrong moment, and what goes wrong by itself: the window lives on and says what happened."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.io.open import open_frames
from napari_hsimisr import app
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.layers import frame_layers
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.sample import sample_frames
from napari_hsimisr.widgets.refine import RefineWidget


class Errors:
    """What escaped into Qt's event loop, where it would be a pop-up for a person."""

    def __init__(self) -> None:
        self.caught: list[BaseException] = []

    def __call__(self, kind: type[BaseException], error: BaseException, trace: object) -> None:
        self.caught.append(error)


@pytest.fixture(autouse=True)
def nothing_escapes(monkeypatch) -> Iterator[None]:
    errors = Errors()
    monkeypatch.setattr(sys, "excepthook", errors)
    yield
    assert errors.caught == []


def begin_endless(demo: Demo, *, whole: bool = True) -> None:
    """Start a job that would take minutes, and wait until it works."""
    refine, told = demo.refine, []
    refine.session.progressed.connect(told.append)
    refine.basic.rows["scale"].value = 8
    invert = refine.methods.rows["invert"]
    invert.method.value = "tv"
    invert.knobs["iterations"].value = 2000
    (refine.run_whole_button if whole else refine.run_view_button).click()
    wait_until(lambda: bool(told))


def make_quick(demo: Demo) -> None:
    demo.refine.basic.rows["scale"].value = 2
    demo.refine.methods.rows["invert"].method.value = "lmmse"


def assert_usable(demo: Demo) -> None:
    """The next run gives its result."""
    session = demo.refine.session
    make_quick(demo)
    count = len(session.history)
    demo.refine.run_view_button.click()
    wait_until(lambda: not session.busy)
    assert len(session.history) == count + 1, demo.refine.status.text()


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_dock_that_is_closed_during_a_job_takes_nothing_along(demo: Demo) -> None:
    session = demo.refine.session
    begin_endless(demo)
    for dock in (demo.refine, demo.alignment):
        demo.viewer.window.remove_dock_widget(dock)
        dock.deleteLater()
    wait(0.3)
    assert session.busy  # the job belongs to the viewer, not to the dock
    again = RefineWidget(demo.viewer)
    demo.viewer.window.add_dock_widget(again, area="right")
    assert again.session is session
    assert again.cancel_button.isEnabled()
    again.cancel_button.click()
    wait_until(lambda: not session.busy)
    demo.refine = again
    assert_usable(demo)


def test_the_viewer_closed_during_a_job_ends_it(qapp) -> None:
    demo = Demo(sample_frames())
    begin_endless(demo)
    pid = demo.refine.session._engine.pid
    assert pid is not None
    demo.viewer.close()
    qapp.processEvents()
    wait_until(lambda: ended(pid))
    assert demo.viewer not in app._shared


@pytest.mark.parametrize("which", ["refined", "a frame", "reference", "all"])
def test_layers_that_are_deleted_during_a_job_do_no_harm(demo: Demo, which: str) -> None:
    session, layers = demo.refine.session, demo.viewer.layers
    demo.refine_everything()
    refined = session.overlays.find(REFINED)
    demo.refine.run_view_button.click()
    assert session.busy
    match which:
        case "refined":
            layers.remove(refined)
        case "a frame":
            layers.remove("frames#3")
        case "reference":
            layers.remove("frames#0")
        case "all":
            layers.clear()
    wait_until(lambda: not session.busy)
    assert session.overlays.find(REFINED) is not None  # what was asked for is shown all the same
    if which == "all":
        demo.refine.run_view_button.click()
        assert "no frames to refine" in demo.refine.status.text()
        for data, attributes, _ in sample_frames():
            demo.viewer.add_image(data, **attributes)
    assert_usable(demo)


def test_a_deleted_frame_takes_no_part_in_the_next_run(demo: Demo) -> None:
    demo.refine_everything()
    demo.viewer.layers.remove("frames#2")
    result = demo.refine_everything()
    assert len(result.scene.registration.frames) == 7
    assert "frames#2" not in {layer.name for layer in demo.refine.session.motions}


def test_a_killed_engine_is_told_and_replaced(demo: Demo) -> None:
    session = demo.refine.session
    begin_endless(demo)
    pid = session._engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not session.busy)
    said = demo.refine.status.text()
    assert "engine process ended" in said
    assert "A fresh engine has started" in said
    assert_usable(demo)
    assert session._engine.pid != pid


def test_an_engine_that_dies_while_nothing_runs_is_not_missed(demo: Demo) -> None:
    wait_until(lambda: demo.refine.session._engine.pid is not None)
    demo.refine_everything()
    pid = demo.refine.session._engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: demo.refine.session._engine.pid not in (None, pid))
    assert_usable(demo)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits another process's memory")
def test_a_job_that_runs_out_of_memory_says_so(demo: Demo) -> None:
    session = demo.refine.session
    demo.refine_everything()
    pid = session._engine.pid
    assert pid is not None
    in_use = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (in_use + 2**20, hard))
    demo.refine.basic.rows["scale"].value = 8
    demo.refine.run_whole_button.click()
    wait_until(lambda: not session.busy)
    said = demo.refine.status.text()
    assert "memory" in said
    assert "smaller" in said
    assert session.result is not None  # the picture before stays
    if session._engine.pid == pid:
        resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
    assert_usable(demo)


def test_more_than_fits_into_memory_is_asked_about_before_it_starts(demo: Demo) -> None:
    """A frame of 60 000 x 60 000 pixels that nobody reads."""
    huge = da.zeros((60, 60_000, 60_000), dtype=np.float32, chunks=(1, 2000, 2000))
    for data, attributes, _ in frame_layers([Cube(huge, name="continent")]):
        demo.viewer.add_image(data, **attributes, visible=False)
    session = demo.refine.session
    session.choose_reference(demo.viewer.layers["continent"])
    expected = session.forecast(demo.refine.config())
    assert expected is not None
    assert not expected.fits
    demo.refine.run_whole_button.click()
    assert not session.busy
    assert demo.refine.findChild(object, "forecast") is not None


@pytest.fixture
def frames_on_disk(tmp_path: Path, sample_data: Path) -> list[Path]:
    with np.load(sample_data / "frames.npz") as file:
        stack = file["cube"][:3, ::6]
    paths = [tmp_path / f"frame{k}.npy" for k in range(3)]
    for path, cube in zip(paths, stack, strict=True):
        np.save(path, cube)
    return paths


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"no cube at all")], ids=["gone", "torn"]
)
def test_a_file_that_cannot_be_read_any_more_is_named(
    qapp, frames_on_disk: list[Path], damage: Damage, sample_data: Path
) -> None:
    stack = open_frames([str(path) for path in frames_on_disk])
    demo = Demo(frame_layers(stack.frames))
    session = demo.refine.session
    intact = frames_on_disk[1].read_bytes()
    damage(frames_on_disk[1])
    demo.refine.run_whole_button.click()
    wait_until(lambda: not session.busy)
    assert session.result is None
    assert "frame1.npy" in demo.refine.status.text()
    frames_on_disk[1].write_bytes(intact)
    assert_usable(demo)
    demo.viewer.close()
    qapp.processEvents()


def test_an_array_that_fails_while_it_is_read_ends_the_job_alone(qapp) -> None:
    frames = [np.random.default_rng(k).normal(size=(6, 24, 24)).astype(np.float32) for k in range(2)]
    torn = [True]

    def read(block: np.ndarray) -> np.ndarray:
        if torn[0]:
            raise OSError("the tape is torn")
        return block

    lazy = da.from_array(frames[1], chunks=-1)
    demo = Demo(frame_layers([Cube.from_array(frames[0], name="good")]))
    torn[0] = False
    cube = Cube(lazy.map_blocks(read, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)), name="bad")
    for data, attributes, _ in frame_layers([cube]):
        demo.viewer.add_image(data, **attributes, visible=False)
    torn[0] = True
    session = demo.refine.session
    demo.refine.run_whole_button.click()
    wait_until(lambda: not session.busy)
    assert "the tape is torn" in demo.refine.status.text()
    torn[0] = False
    assert_usable(demo)
    demo.viewer.close()
    qapp.processEvents()


def test_a_setting_that_cannot_work_fails_its_run_alone(demo: Demo) -> None:
    refine = demo.refine.methods.rows["refine"]
    refine.method.value = "refiner"
    refine.knobs["weights"].value = "no-such-file.safetensors"
    demo.refine.run_view_button.click()
    wait_until(lambda: not demo.refine.session.busy)
    assert "no-such-file.safetensors" in demo.refine.status.text()
    refine.method.value = "none"
    assert_usable(demo)

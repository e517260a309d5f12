"""`hsimisr simulate` writes frames, truth and true motion that the rest of the program reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hsimisr.cli.commands import app
from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.open import open_cube, open_frames
from hsimisr.io.write import write_cube
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.registration.store import for_frames


@pytest.fixture(scope="module")
def scene():
    return town((80, 84), bands=6, seed=3)


@pytest.fixture
def scene_file(scene, tmp_path):
    values = scene.cube.copy()
    values[4] = -1
    bad = np.arange(6) == 4
    transform = (500000.0, 5.0, 0.0, 5800000.0, 0.0, -5.0)
    cube = Cube.from_array(
        values, wavelengths=scene.wavelengths, bad=bad, nodata=-1.0, crs="EPSG:32633", transform=transform
    )
    write_cube(tmp_path / "scene.tif", cube)
    return tmp_path / "scene.tif"


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)], catch_exceptions=False)


def test_frames_truth_and_motion_are_those_of_the_simulator(scene, scene_file, tmp_path):
    done = run(scene_file, "--out", tmp_path / "out", "--frames", 3, "--seed", 11, "--snr", 25)
    assert done.exit_code == 0, done.output
    values = scene.cube.copy()
    values[4] = np.nan
    expected = simulate(values, 2, 3, snr=25, seed=11)
    stack = open_frames(sorted((tmp_path / "out").glob("frame-*.hdr")))
    for frame, pixels in zip(stack.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(frame.read(), pixels)
        assert np.flatnonzero(frame.bad).tolist() == [4]
        np.testing.assert_array_equal(frame.wavelengths, scene.wavelengths)
    np.testing.assert_array_equal(open_cube(tmp_path / "out" / "truth" / "truth.hdr").read(), expected.truth)
    registration = for_frames(tmp_path / "out" / "registration.json", stack)
    np.testing.assert_array_equal([motion.matrix for motion in registration.frames], expected.motions)
    written = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert [frame["file"] for frame in written["frames"]] == ["frame-00.hdr", "frame-01.hdr", "frame-02.hdr"]


def test_reference_and_truth_lie_on_the_same_ground(scene_file, tmp_path):
    run(scene_file, "--out", tmp_path / "out", "--frames", 2)
    truth, reference, other = (
        open_cube(tmp_path / "out" / f"{name}.hdr") for name in ("truth/truth", "frame-00", "frame-01")
    )
    origin = simulate(np.ones((1, 80, 84)), 2, 2).origin_yx
    assert truth.transform == (500000.0 + 5 * origin[1], 5, 0, 5800000.0 - 5 * origin[0], 0, -5)
    assert reference.transform == (truth.transform[0], 10, 0, truth.transform[3], 0, -10)
    assert other.transform is None


def test_local_motion_comes_back_with_its_fields(scene_file, tmp_path):
    run(scene_file, "--out", tmp_path / "out", "--frames", 2, "--motion", "local")
    stack = open_frames(sorted((tmp_path / "out").glob("frame-*.hdr")))
    registration = for_frames(tmp_path / "out" / "registration.json", stack)
    assert registration.frames[0].field is None
    assert registration.frames[1].field.shape == (2, *stack.reference_frame.shape_yx)


def test_requests_that_cannot_work_leave_nothing_behind(scene_file, tmp_path):
    done = CliRunner().invoke(app, ["simulate", str(scene_file), "--out", str(tmp_path / "out"), "--scale", "4"])
    assert done.exit_code != 0
    assert not (tmp_path / "out").exists()
    assert run(scene_file, "--out", tmp_path / "out", "--motion", "swirl").exit_code == 2


def test_a_folder_with_frames_of_another_simulation_is_refused(scene_file, tmp_path):
    out = tmp_path / "out"
    run(scene_file, "--out", out, "--frames", 3)
    assert run(scene_file, "--out", out, "--frames", 3, "--seed", 1).exit_code == 0  # every frame is replaced
    with pytest.raises(WriteError, match=r"frame-02\.hdr of another simulation"):
        run(scene_file, "--out", out, "--frames", 2)

"""Alignments go to `registration.json` and come back, and are refused with a reason where that cannot be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource
from hsimisr.errors import ReadError, StackError, WriteError
from hsimisr.registration.store import read_registration_file
from napari_hsimisr.alignment_file import plan_loading, plan_saving
from napari_hsimisr.layers import CUBE

NAMES = ("a.npz", "b.npz", "c.npz")
MOVES = {"a.npz": (0.0, 0.0), "b.npz": (0.5, -0.25), "c.npz": (-1.5, 0.75)}


@pytest.fixture
def desk(new_desk, tmp_path):
    """Three frames from files, moved by hand."""
    desk = new_desk()
    desk.viewer.layers.clear()
    for name in NAMES:
        cube = Cube.from_array(np.zeros((2, 24, 20), np.float32), source=CubeSource(str(tmp_path / name)), name=name)
        desk.viewer.add_image(cube.data, name=name, metadata={CUBE: cube})
    reference, *others = desk.session.frames
    for layer in others:
        desk.session.alignment.nudge(layer, MOVES[layer.name], reference)
    return desk


def test_what_is_saved_comes_back_the_same_and_fixed(desk, tmp_path) -> None:
    session, path = desk.session, tmp_path / "registration.json"
    before = dict(session.motions)
    assert plan_saving(session, path).write() == [path]
    session.alignment.start_over()
    loaded = plan_loading(session, path).read()
    session.alignment.take_file(loaded.layers, loaded.registration, loaded.psf, loaded.noise, path.name)
    for layer, motion in before.items():
        np.testing.assert_array_equal(session.motions[layer].matrix, motion.matrix)
    assert session.alignment.state.fixed
    assert loaded.psf == session.config.psf


def test_the_file_is_the_one_of_the_command_line(desk, tmp_path) -> None:
    path = tmp_path / "registration.json"
    plan_saving(desk.session, path).write()
    content = json.loads(path.read_text())
    assert [frame["file"] for frame in content["frames"]] == list(NAMES)
    assert content["noise"] == [None, None]  # no run has told
    shifts = [frame.params for frame in read_registration_file(path).frames]
    np.testing.assert_allclose(shifts, -np.array(list(MOVES.values())))


def test_frames_left_out_by_hand_are_marked(desk, tmp_path) -> None:
    session, path = desk.session, tmp_path / "registration.json"
    session.include(session.frames[2], False)
    plan_saving(session, path).write()
    stored = read_registration_file(path).frames[2]
    assert (stored.excluded, stored.reason) == (True, "left out by hand")


def test_frames_without_a_file_are_named(desk, tmp_path) -> None:
    desk.viewer.add_image(np.zeros((2, 24, 20), np.float32), name="drawn")
    session = desk.session
    session.alignment.nudge(session.frames[3], (0.1, 0.1), session.frames[0])
    with pytest.raises(WriteError, match="drawn comes from none; save these frames"):
        plan_saving(session, tmp_path / "registration.json")


def test_a_frame_without_a_motion_is_named(desk, tmp_path) -> None:
    source = CubeSource(str(tmp_path / "d.npz"))
    cube = Cube.from_array(np.zeros((2, 24, 20), np.float32), source=source, name="d.npz")
    desk.viewer.add_image(cube.data, name="d.npz", metadata={CUBE: cube})
    with pytest.raises(StackError, match=r"d\.npz has no motion yet"):
        plan_saving(desk.session, tmp_path / "registration.json")


def test_there_is_nothing_to_save_before_anything_is_known(desk, tmp_path) -> None:
    desk.session.alignment.start_over()
    with pytest.raises(WriteError, match="no alignment yet"):
        plan_saving(desk.session, tmp_path / "registration.json")


def test_a_file_of_other_frames_is_refused(desk, tmp_path) -> None:
    session, path = desk.session, tmp_path / "registration.json"
    session.include(session.frames[2], False)
    session.alignment.reset(session.frames)
    session.alignment.nudge(session.frames[1], (0.5, 0.5), session.frames[0])
    plan_saving(session, path).write()
    session.include(session.frames[2], True)
    with pytest.raises(StackError, match=r"c\.npz is not in it"):
        plan_loading(session, path).read()
    path.write_text("{}")
    with pytest.raises(ReadError, match="is no registration"):
        plan_loading(session, path).read()


def test_another_reference_is_refused(desk, tmp_path) -> None:
    session, path = desk.session, tmp_path / "registration.json"
    plan_saving(session, path).write()
    session.choose_reference(session.frames[1])
    with pytest.raises(StackError, match=r"make a\.npz the reference"):
        plan_loading(session, path).read()


def test_motions_of_one_view_are_saved_only_when_vouched_for(new_desk, desk, tmp_path) -> None:
    session, path = desk.session, tmp_path / "registration.json"
    scene = desk.result(provisional=True).scene
    session.include(session.frames[2], False)
    session.alignment.start_over()
    session.alignment.take_run(session.included, scene, None)
    with pytest.raises(WriteError, match="around one view only"):
        plan_saving(session, path)
    session.alignment.fix(True)
    assert plan_saving(session, path).write() == [path]


def test_how_well_the_psf_is_known_is_saved_with_it(new_desk, desk, tmp_path) -> None:
    """As the run that found it told, also one that only used the motions; a PSF that was given has no error."""
    session, path = desk.session, tmp_path / "registration.json"
    session.include(session.frames[2], False)
    given = desk.result().scene
    found = replace(given, psf="gauss:1.2", psf_stderr=(0.1, 0.1, 0.0))
    for fixed in (False, True):
        for scene in (given, found):
            session.alignment.fix(fixed)
            session.alignment.take_run(session.included, scene, None)
            plan_saving(session, path).write()
            psf = read_registration_file(path).psf
            assert (psf.kind, psf.stderr) == (scene.psf, scene.psf_stderr)


def test_how_well_the_noise_is_known_is_saved_with_it(new_desk, desk, tmp_path) -> None:
    """As the run told, also one that only used the motions; noise that was given has no error."""
    session, path = desk.session, tmp_path / "registration.json"
    session.include(session.frames[2], False)
    given = replace(desk.result().scene, noise_stderr=None)
    found = replace(given, noise_stderr=given.noise / 50)
    for fixed in (False, True):
        for scene in (given, found):
            session.alignment.fix(fixed)
            session.alignment.take_run(session.included, scene, None)
            plan_saving(session, path).write()
            told = read_registration_file(path).noise_stderr
            assert told == (None if scene is given else pytest.approx(found.noise_stderr))


def test_without_frames_nothing_can_be_loaded(desk, tmp_path) -> None:
    desk.viewer.layers.clear()
    with pytest.raises(StackError, match="no frames that it could belong to"):
        plan_loading(desk.session, tmp_path / "registration.json")

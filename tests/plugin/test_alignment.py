"""Motions are corrected, undone, reset, fixed and taken from runs and files; runs get what a person sees."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from hsimisr.errors import StackError
from hsimisr.geometry import apply_motion, translation
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration, SceneModel, Subspace
from napari_hsimisr.alignment import Alignment, started_from

SHIFT = (1.5, -2.25)


def scene_of(*motions: FrameMotion, provisional: bool = False) -> SceneModel:
    subspace = Subspace(np.zeros(2), np.full(2, 0.1), np.eye(2), np.ones(2), np.zeros(2, bool))
    prior = PowerSpectrum(np.array([0.0, 1.0]), np.ones((2, 2)))
    return SceneModel(Registration(motions, 0, "joint"), "box", subspace, prior, 2, provisional)


@pytest.fixture
def layers() -> list[Image]:
    return [Image(np.zeros((2, 5, 5)), name=name) for name in ("first", "second", "third")]


@pytest.fixture
def found() -> list[FrameMotion]:
    turned = translation(SHIFT)
    turned[:2, :2] = [[0.99, -0.02], [0.02, 0.99]]
    bad = FrameMotion(translation((9, 9)), excluded=True, weight=0.0, reason="blurred")
    return [FrameMotion(np.eye(3)), FrameMotion(turned, 0.01 * np.eye(2), chi2=1.1), bad]


@pytest.fixture
def alignment(layers, found) -> Alignment:
    """After a run over three frames, the last of which it left out."""
    alignment = Alignment()
    alignment.take_run(layers, scene_of(*found), None)
    return alignment


def test_a_nudge_moves_the_picture_whatever_the_motion(alignment, layers) -> None:
    """The picture of a frame point is where ``M^-1`` takes it: after a nudge that is a move further."""
    reference, second, _ = layers
    before = alignment.state.motions[second]
    alignment.nudge(second, (0.5, -0.25), reference)
    after = alignment.state.motions[second]
    for point in ((0.0, 0.0), (17.0, 4.5)):
        shown, moved = (apply_motion(np.linalg.inv(motion.matrix), point) for motion in (before, after))
        np.testing.assert_allclose(moved - shown, (0.5, -0.25), atol=1e-12)
    assert alignment.state.by_hand(second)
    assert np.isnan(after.chi2)


def test_every_change_can_be_undone_and_made_again(alignment, layers) -> None:
    reference, second, third = layers
    states = [alignment.state]
    for change in (
        lambda: alignment.nudge(second, (0.1, 0.0), reference),
        lambda: alignment.include(third, False),
        lambda: alignment.fix(True),
        lambda: alignment.reset([second]),
        lambda: alignment.start_over(),
    ):
        change()
        states.append(alignment.state)
    for state in reversed(states[:-1]):
        alignment.undo()
        assert alignment.state is state
    for state in states[1:]:
        alignment.redo()
        assert alignment.state is state
    assert not alignment.can_redo


def test_a_change_after_an_undo_leaves_nothing_to_redo(alignment, layers) -> None:
    alignment.nudge(layers[1], (0.1, 0.0), layers[0])
    alignment.undo()
    assert alignment.can_redo
    alignment.nudge(layers[1], (0.0, 0.1), layers[0])
    assert not alignment.can_redo


def test_the_run_itself_can_be_undone(alignment) -> None:
    alignment.undo()
    assert not alignment.state.motions
    alignment.undo()
    assert not alignment.can_undo


def test_a_drag_is_one_step(alignment, layers) -> None:
    reference, second, _ = layers
    before = alignment.state
    for n in range(5):
        alignment.nudge(second, (0.0, 0.2), reference, same_step=n > 0)
    np.testing.assert_allclose(alignment.state.motions[second].shift - before.motions[second].shift, (0.02, -0.99))
    alignment.undo()
    assert alignment.state is before


def test_the_reference_cannot_be_moved(alignment, layers) -> None:
    with pytest.raises(StackError, match="first is the reference"):
        alignment.nudge(layers[0], (0.1, 0.0), layers[1])  # also where another one is the reference by now


def test_moving_a_frame_that_was_left_out_starts_where_it_is_shown_and_takes_it_in(alignment, layers) -> None:
    alignment.nudge(layers[2], (1.0, 0.0), layers[0])
    motion = alignment.state.motions[layers[2]]
    np.testing.assert_allclose(motion.shift, (-1.0, 0.0))
    assert (motion.excluded, motion.weight, motion.reason) == (False, 1.0, "")


def test_ticking_a_frame_that_a_run_left_out_gives_it_another_chance(alignment, layers) -> None:
    alignment.include(layers[2], True)
    assert not alignment.state.motions[layers[2]].excluded
    assert alignment.state.next_start is alignment.state.motions


def test_reset_gives_back_what_was_found(alignment, layers, found) -> None:
    reference, second, third = layers
    alignment.nudge(second, (0.5, 0.5), reference)
    alignment.nudge(third, (0.5, 0.5), reference)
    alignment.reset([second])
    assert alignment.state.motions[second] is found[1]
    assert alignment.state.by_hand(third)
    alignment.reset(layers)
    assert not alignment.state.corrected
    assert alignment.state.motions[third] is found[2]


def test_runs_begin_where_a_person_put_the_frames_and_keep_doing_so(alignment, layers, found) -> None:
    assert alignment.state.next_start is None
    alignment.nudge(layers[1], (0.5, 0.5), layers[0])
    start = alignment.state.next_start
    assert start is alignment.state.motions
    alignment.take_run(layers, scene_of(*found), start)
    assert not alignment.state.corrected
    assert alignment.state.next_start is start  # the same run again gives the same motions
    alignment.start_over()
    assert alignment.state.next_start is None


def test_a_run_that_finds_the_same_leaves_nothing_to_undo(alignment, layers, found) -> None:
    past = alignment.state
    alignment.take_run(layers, scene_of(*found), None)
    alignment.undo()
    assert alignment.state is not past
    assert not alignment.state.motions


def test_motions_to_use_as_they_are_stay_through_runs(alignment, layers, found) -> None:
    assert alignment.to_use(layers, layers[0]) is None
    alignment.nudge(layers[1], (0.5, 0.5), layers[0])
    alignment.fix(True)
    used = alignment.to_use(layers, layers[0])
    assert used is not None
    assert (used.reference, used.method) == (0, "by hand")
    assert used.frames == tuple(alignment.state.motions[layer] for layer in layers)
    alignment.take_run(layers, scene_of(*used.frames), None)
    assert alignment.state.by_hand(layers[1])
    alignment.reset(layers)
    assert alignment.state.motions[layers[1]] is found[1]


def test_motions_are_only_used_as_they_are_for_their_reference_and_where_they_are_known(alignment, layers) -> None:
    alignment.fix(True)
    with pytest.raises(StackError, match="belong to the reference first"):
        alignment.to_use(layers, layers[1])
    newcomer = Image(np.zeros((2, 5, 5)), name="newcomer")
    with pytest.raises(StackError, match="newcomer has no motion"):
        alignment.to_use([*layers, newcomer], layers[0])


def test_a_file_is_used_as_it_is(layers, found) -> None:
    alignment = Alignment()
    alignment.take_file(layers, Registration(tuple(found), 0, "joint"), "box", np.ones(2), "registration.json")
    state = alignment.state
    assert (state.fixed, state.reference, state.psf, state.corrected) == (True, layers[0], "box", False)
    alignment.undo()
    assert not alignment.state.fixed


def test_a_start_can_be_told_relative_to_another_reference(alignment, layers) -> None:
    """Points of the new reference map into each frame as they did by way of the old one."""
    motions = {layer: m for layer, m in alignment.state.motions.items() if not m.excluded}
    start = started_from(motions, layers[:2], layers[1])
    np.testing.assert_allclose(start.frames[1].matrix, np.eye(3), atol=1e-12)
    in_second = apply_motion(motions[layers[1]].matrix, (3.0, 4.0))
    np.testing.assert_allclose(apply_motion(start.frames[0].matrix, in_second), (3.0, 4.0), atol=1e-12)
    assert start.reference == 1


def test_a_frame_without_a_motion_starts_as_it_was_measured(alignment, layers) -> None:
    newcomer = Image(np.zeros((2, 5, 5)), name="newcomer")
    start = started_from(alignment.state.motions, [*layers, newcomer], layers[0])
    np.testing.assert_array_equal(start.frames[3].matrix, np.eye(3))

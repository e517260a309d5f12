"""The state that the docks share follows the layers, asks the engine the right thing and drops what comes late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image

from hsimisr.cube import Cube, CubeSource
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Cancelled, Failed, Finished, Preview
from napari_hsimisr.layers import CUBE
from napari_hsimisr.overlays import REFINED, UNCERTAINTY
from napari_hsimisr.view import current_view, world_at

H, W = 24, 20
SHIFT = (1.5, -2.25)


def take(turns: list[Callable[[], None]]) -> None:
    """Take the turns of an event loop, those included that come up meanwhile."""
    while turns:
        turns.pop(0)()


def assert_lies_on(overlay: Image | None, frame: Image) -> None:
    """The first pixel of a whole frame's overlay on x2 pixels starts at the corner of the frame's first pixel."""
    assert overlay is not None
    np.testing.assert_allclose(overlay.data_to_world((0, -0.5, -0.5)), frame.data_to_world((0, -0.5, -0.5)), atol=1e-9)


def test_frames_follow_the_layers(desk) -> None:
    session, viewer = desk.session, desk.viewer
    assert [layer.name for layer in session.frames] == ["frame 0", "frame 1"]
    viewer.add_image(np.zeros((9, 9)))  # no cube
    viewer.add_points(np.zeros((1, 2)))
    assert len(session.frames) == 2
    viewer.add_image(np.zeros((2, H, W), np.float32), name="plain")
    assert [layer.name for layer in session.frames] == ["frame 0", "frame 1", "plain"]
    viewer.layers.remove("frame 0")
    assert [layer.name for layer in session.frames] == ["frame 1", "plain"]


def test_the_reference_is_the_chosen_frame_while_it_takes_part(desk) -> None:
    session = desk.session
    first, second = session.frames
    assert session.reference is first
    session.choose_reference(second)
    session.refine(PipelineConfig(), whole=True)
    assert desk.jobs[-1].reference == 1
    session.include(second, False)
    assert session.reference is first
    session.refine(PipelineConfig(), whole=True)
    assert (len(desk.jobs[-1].frames), desk.jobs[-1].reference) == (1, 0)


def test_knobs_that_are_given_count_for_all_docks(desk) -> None:
    given = []
    desk.session.knobs_given.connect(lambda: given.append(desk.session.config))
    desk.session.give_knobs(PipelineConfig(scale=4))
    assert given == [PipelineConfig(scale=4)]


def test_what_cannot_be_asked_is_said_and_not_submitted(desk) -> None:
    session = desk.session
    for layer in session.frames:
        session.include(layer, False)
    session.refine(PipelineConfig(), whole=True)
    session.include(session.frames[0], True)
    desk.viewer.add_image(np.zeros((5, H, W), np.float32), name="odd one")
    session.refine(PipelineConfig(), whole=True)
    assert desk.jobs == []
    assert [status.error for status in desk.statuses] == [True, True]
    assert "no frames" in desk.statuses[0].text
    assert "odd one" in desk.statuses[1].text
    assert not session.busy


def test_view_jobs_carry_what_the_canvas_shows(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(scale=3), whole=True)
    job = desk.jobs[-1]
    assert (job.kind, job.view, job.config.scale, len(job.frames)) == ("cube", None, 3, 2)
    desk.viewer.scene.camera.center = world_at(session.frames[0], (10, 8))
    desk.viewer.canvas.size = (60, 40)
    desk.viewer.scene.camera.zoom = 10
    session.refine(PipelineConfig(), whole=False)
    job = desk.jobs[-1]
    assert (job.kind, job.view) == ("view", View(7, 14, 6, 11))
    assert job.number > desk.jobs[0].number


def test_previews_and_the_result_go_into_one_layer_and_late_events_nowhere(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=False)
    session.refine(PipelineConfig(), whole=False)
    old, new = (job.number for job in desk.jobs)
    session.handle(Preview(old, "invert", desk.result().estimate))
    session.handle(Finished(old, desk.result()))
    assert session.overlays.find(REFINED) is None
    assert session.busy
    session.handle(Preview(new, "invert", desk.result(View(0, 8, 0, 8)).estimate))
    layer = session.overlays.find(REFINED)
    assert isinstance(layer, Image)
    assert session.result is None
    session.handle(Finished(new, desk.result()))
    assert session.overlays.find(REFINED) is layer
    assert layer.data.shape == (2, 2 * H, 2 * W)
    assert not session.busy
    assert not desk.statuses[-1].error
    assert layer.metadata["hsimisr_provenance"]["scale"] == 2


def test_a_first_picture_comes_forward_in_its_turn_and_error_bars_leave_the_selection_alone(new_desk) -> None:
    turns: list[Callable[[], None]] = []
    desk = new_desk(later=turns.append)
    session, layers = desk.session, desk.viewer.layers
    chosen = layers.selection.active = session.frames[0]
    told: list[Image | None] = []
    layers.selection.events.active.connect(lambda event: told.append(event.value))
    session.refine(PipelineConfig(), whole=True)
    session.handle(Preview(1, "invert", desk.result().estimate))
    refined = session.overlays.find(REFINED)
    assert refined is not None
    assert not refined.visible
    assert (layers.selection.active, set(layers.selection), told) == (chosen, {chosen}, [])
    take(turns)
    assert refined.visible
    assert (layers.selection.active, told[-1]) == (refined, refined)
    layers.selection.active = chosen
    told.clear()
    session.handle(Finished(1, desk.result()))
    take(turns)
    bars = session.overlays.find(UNCERTAINTY)
    assert bars is not None
    assert not bars.visible
    assert (layers.selection.active, set(layers.selection), told) == (chosen, {chosen}, [])


def test_a_picture_that_was_removed_before_its_turn_stays_away(new_desk) -> None:
    turns: list[Callable[[], None]] = []
    desk = new_desk(later=turns.append)
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Preview(1, "invert", desk.result().estimate))
    refined = desk.session.overlays.find(REFINED)
    desk.viewer.layers.remove(refined)
    take(turns)
    assert refined not in desk.viewer.layers
    assert refined not in desk.viewer.layers.selection


@pytest.mark.parametrize("visible", [True, False])
def test_what_is_seen_is_aligned_at_once_and_hidden_frames_in_their_turn(new_desk, visible: bool) -> None:
    turns: list[Callable[[], None]] = []
    desk = new_desk(later=turns.append)
    session = desk.session
    moved = session.frames[1]
    moved.visible = visible
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(1, desk.result()))
    shift = [0.0, -SHIFT[0], -SHIFT[1]]
    np.testing.assert_allclose(moved.affine.translate, shift if visible else 0, atol=1e-12)
    take(turns)
    np.testing.assert_allclose(moved.affine.translate, shift, atol=1e-12)
    session.show_aligned(False)
    session.show_aligned(True)
    take(turns)  # what holds when the turn comes
    np.testing.assert_allclose(moved.affine.translate, shift, atol=1e-12)
    session.alignment.nudge(moved, (0.0, 1.0), session.frames[0])  # by hand: at once, seen or not
    np.testing.assert_allclose(moved.affine.translate, np.add(shift, (0, 0, 1)), atol=1e-12)


def test_a_cube_job_is_shown_although_a_view_was_asked_for_meanwhile(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.refine(PipelineConfig(), whole=False)
    cube, view = desk.jobs
    whole = desk.result()
    session.handle(Finished(cube.number, whole))
    assert session.result is whole
    assert session.busy
    part = desk.result(View(0, 8, 0, 8))
    session.handle(Finished(view.number, part))
    assert session.result is part
    assert not session.busy


def test_the_refined_layer_lies_on_its_reference_after_a_change_of_reference(desk) -> None:
    session = desk.session
    first, second = session.frames
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    session.choose_reference(second)
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result(reference=1)))
    for product in (REFINED, UNCERTAINTY):
        assert_lies_on(session.overlays.find(product), second)
    np.testing.assert_allclose(world_at(first, (9.0, 9.0)), world_at(second, np.add((9.0, 9.0), SHIFT)))


def test_where_the_frame_that_was_seen_is_deleted_another_one_is_shown(desk) -> None:
    first, second = desk.session.frames
    second.visible = False
    desk.viewer.layers.remove(first)
    assert second.visible
    second.visible = False
    desk.viewer.add_image(first.data, name="hidden", visible=False)
    desk.viewer.layers.remove("hidden")
    assert not second.visible  # who has hidden them all wants it so


def test_a_picture_follows_its_reference_when_that_one_is_moved(desk) -> None:
    session = desk.session
    second = session.frames[1]
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    session.choose_reference(second)
    session.refine(PipelineConfig(), whole=True)
    session.handle(Cancelled(desk.jobs[-1].number, desk.result(reference=1).estimate))
    for aligned in (True, False, True):
        session.show_aligned(aligned)
        assert_lies_on(session.overlays.find(REFINED), second)
        assert_lies_on(session.overlays.find(UNCERTAINTY), session.frames[0])  # still that of the first run


def test_a_frame_that_no_longer_takes_part_is_shown_as_it_was_measured(desk) -> None:
    session = desk.session
    first, second = session.frames
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    session.include(second, False)
    session.refine(PipelineConfig(), whole=True)
    alone = desk.result()
    motion = replace(alone.scene.registration, frames=alone.scene.registration.frames[:1])
    alone = replace(alone, scene=replace(alone.scene, registration=motion))
    session.handle(Finished(desk.jobs[-1].number, alone))
    np.testing.assert_allclose(world_at(second, (9.0, 9.0)), world_at(first, (9.0, 9.0)))


def test_a_result_tells_the_motion_of_its_frames_and_shows_them_aligned(desk) -> None:
    session = desk.session
    reference, other = session.frames
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    assert session.motion_reference is reference
    np.testing.assert_array_equal(session.motions[other].shift, SHIFT)
    ground = world_at(reference, (9.0, 9.0))
    np.testing.assert_allclose(world_at(other, (9.0 + SHIFT[0], 9.0 + SHIFT[1])), ground)
    session.show_aligned(False)
    np.testing.assert_allclose(world_at(other, (9.0, 9.0)), ground)


def test_a_failure_is_told_with_its_hint_and_the_last_picture_stays(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    session.refine(PipelineConfig(), whole=True)
    session.handle(Failed(desk.jobs[-1].number, "out of memory", "choose a smaller view"))
    status = desk.statuses[-1]
    assert (status.text, status.hint, status.error) == ("out of memory", "choose a smaller view", True)
    assert session.result is not None
    assert not session.busy


def test_cancel_asks_the_engine_and_keeps_what_was_reached(desk) -> None:
    session = desk.session
    session.cancel()
    session.refine(PipelineConfig(), whole=True)
    session.cancel()
    number = desk.jobs[-1].number
    assert desk.cancelled == [number]
    session.handle(Cancelled(number, desk.result().estimate))
    assert session.overlays.find(REFINED) is not None
    assert not session.busy


def test_cancel_stops_everything_that_was_asked_for(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.refine(PipelineConfig(), whole=False)
    numbers = [job.number for job in desk.jobs]
    session.cancel()
    assert desk.cancelled == numbers
    for number in numbers:
        assert session.busy
        session.handle(Cancelled(number))
    assert not session.busy


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 30, 20)])
def test_the_view_is_what_the_canvas_shows(new_desk, scale: tuple[float, float, float]) -> None:
    desk = new_desk(scale)
    viewer, frame = desk.viewer, desk.session.frames[0]
    viewer.canvas.size = (300, 400)
    viewer.scene.camera.center = world_at(frame, (12.0, 9.0))
    viewer.scene.camera.zoom = 50 / scale[1]
    across = 400 / 50 * scale[1] / scale[2]  # pixels of the frame
    assert current_view(viewer, frame) == View(
        9, 16, int(np.floor(9.5 - across / 2).clip(0)), int(np.ceil(9.5 + across / 2).clip(None, W))
    )
    viewer.scene.camera.center = world_at(frame, (1000.0, 9.0))
    with pytest.raises(ConfigError, match="not on the canvas"):
        current_view(viewer, frame)


def test_a_frame_from_a_file_is_named_by_its_source(desk) -> None:
    source = CubeSource("scene.mat", "data")
    cube = Cube.from_array(np.zeros((2, H, W), np.float32), source=source, name="file")
    desk.viewer.add_image(cube.data, name="file", metadata={CUBE: cube})
    desk.session.refine(PipelineConfig(), whole=True)
    assert desk.jobs[-1].frames[-1].source == source


def finish_run(desk) -> None:
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[-1].number, desk.result()))


def test_jobs_register_from_scratch_from_a_correction_or_not_at_all(desk) -> None:
    session = desk.session
    reference, other = session.frames
    finish_run(desk)
    assert (desk.jobs[-1].start, desk.jobs[-1].registration) == (None, None)
    session.alignment.nudge(other, (0.5, 0.0), reference)
    session.refine(PipelineConfig(), whole=True)
    np.testing.assert_allclose(desk.jobs[-1].start.frames[1].shift, np.subtract(SHIFT, (0.5, 0.0)))
    assert desk.jobs[-1].registration is None
    session.alignment.fix(True)
    session.refine(PipelineConfig(), whole=True)
    np.testing.assert_allclose(desk.jobs[-1].registration.frames[1].shift, np.subtract(SHIFT, (0.5, 0.0)))
    assert desk.jobs[-1].start is None


def test_registering_from_here_starts_at_the_motions_as_they_stand(desk) -> None:
    session = desk.session
    session.refine(session.config, whole=True, from_here=True)
    assert desk.jobs[-1].start is None  # nothing is known yet
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    session.refine(session.config, whole=True, from_here=True)
    np.testing.assert_allclose(desk.jobs[-1].start.frames[1].shift, SHIFT)


def test_a_nudge_moves_the_layer_and_undo_brings_it_back(desk) -> None:
    session = desk.session
    reference, other = session.frames
    finish_run(desk)
    before = world_at(other, (9.0, 9.0))
    session.alignment.nudge(other, (0.5, -0.25), reference)
    np.testing.assert_allclose(np.subtract(world_at(other, (9.0, 9.0)), before), (0.5, -0.25))
    session.alignment.undo()
    np.testing.assert_allclose(world_at(other, (9.0, 9.0)), before)
    session.alignment.start_over()
    np.testing.assert_allclose(world_at(other, (9.0, 9.0)), world_at(reference, (9.0, 9.0)))


def test_what_a_person_corrects_while_a_run_goes_on_stays(desk) -> None:
    session = desk.session
    reference, other = session.frames
    session.refine(PipelineConfig(), whole=True)
    session.alignment.nudge(other, (0.5, 0.0), reference)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    np.testing.assert_allclose(session.motions[other].shift, (-0.5, 0.0))
    assert "changed meanwhile" in desk.statuses[-1].text
    assert session.overlays.find(REFINED) is not None


def test_leaving_a_frame_out_can_be_undone(desk) -> None:
    session, told = desk.session, []
    session.frames_changed.connect(lambda: told.append(len(session.included)))
    session.include(session.frames[1], False)
    session.alignment.undo()
    assert told == [1, 2]


def test_motions_that_cannot_be_used_as_they_are_are_explained(desk) -> None:
    session = desk.session
    finish_run(desk)
    session.alignment.fix(True)
    session.choose_reference(session.frames[1])
    session.refine(PipelineConfig(), whole=True)
    assert len(desk.jobs) == 1
    assert desk.statuses[-1].error
    assert "Use as it is" in desk.statuses[-1].text

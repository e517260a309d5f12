"""The list of finished runs: what it keeps, what goes first, and what is shown when one is taken up again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from hsimisr.pipeline.presets import with_preset
from hsimisr.report.verdicts import verdict_brief
from napari_hsimisr.overlays import REFINED

VIEW = View(2, 10, 3, 9)


def finish(desk, *, whole: bool = True, view: View | None = None, config: PipelineConfig | None = None):
    """Ask for a run and answer it; the run that the history then holds."""
    config = config or PipelineConfig()
    desk.session.refine(config, whole=whole, region=view)
    job = desk.jobs[-1]
    result = replace(desk.result(view), config=config, diagnostics={"timings": {"invert_s": 2.0, "register_s": 1.0}})
    desk.session.handle(Finished(job.number, result))
    return desk.session.history.find(job.number)


def test_each_finished_run_is_kept_with_its_settings_time_and_size(desk) -> None:
    run = finish(desk, config=with_preset("radiometric", PipelineConfig()))
    assert [kept.number for kept in desk.session.history] == [run.number]
    assert run.settings == "radiometric, ×2"
    assert run.seconds == 3.0
    images = (run.result.estimate.mean, run.result.estimate.variance)  # the baseline of the desk is the same estimate
    assert run.nbytes == sum(image.nbytes for image in images)


def test_a_run_is_shown_again_without_a_job_and_its_settings_with_it(desk) -> None:
    session, given = desk.session, []
    session.knobs_given.connect(lambda: given.append(session.config))
    first = finish(desk, view=VIEW, whole=False, config=PipelineConfig(psf="box"))
    second = finish(desk)
    motions = session.motions
    session.restore(first)
    assert len(desk.jobs) == 2
    assert session.result is first.result
    assert given == [first.result.config]
    refined = session.overlays.find(REFINED)
    assert refined.data.shape[1:] == (16, 12)
    np.testing.assert_allclose(refined.data_to_world((0, -0.5, -0.5))[1:], np.add(VIEW.origin, (6.5, -3.5)))
    assert session.motions is motions
    session.restore(second)
    assert session.result is second.result


def test_the_oldest_views_go_first_and_the_newest_run_stays(desk) -> None:
    history = desk.session.history
    whole = finish(desk)
    desk.session.viewer.canvas.size = (300, 400)
    views = []
    for _ in range(2):
        desk.session.refine(PipelineConfig(), whole=False)
        number = desk.jobs[-1].number
        desk.session.handle(Finished(number, desk.result(VIEW)))
        views.append(number)
    history.limit = history.nbytes - 1
    region = finish(desk, view=VIEW, whole=False)  # as large as a view
    assert [run.number for run in history] == [whole.number, region.number]
    history.limit = 1
    newest = finish(desk)
    assert [run.number for run in history] == [newest.number]


def test_runs_are_renamed_and_deleted(desk) -> None:
    history, told = desk.session.history, []
    run = finish(desk)
    history.changed.connect(lambda: told.append(len(history)))
    history.rename(run.number, " before the storm ")
    assert history.find(run.number).name == "before the storm"
    history.rename(run.number, "  ")
    assert history.find(run.number).name == "before the storm"
    history.delete(run.number)
    assert history.find(run.number) is None
    assert told[-1] == 0
    history.delete(run.number)
    assert desk.session.result is run.result  # what is shown stays


def test_a_list_tells_how_far_learned_stages_were_followed(desk) -> None:
    run = finish(desk)
    assert verdict_brief(run.result) == ""
    learned = {"refine": [{"gate_weight": 0.9}, {"gate_weight": 0.5}], "diffuse": [{"gate_weight": 0.0}]}
    assert verdict_brief(replace(run.result, diagnostics={"learned": learned})) == "refine 70%, diffuse 0%"


@pytest.mark.parametrize("change", ["reference removed", "reference is another"])
def test_a_run_lies_on_its_own_reference_whatever_became_of_it(desk, change: str) -> None:
    session = desk.session
    run = finish(desk, view=VIEW, whole=False)
    if change == "reference removed":
        desk.viewer.layers.remove(session.frames[0])
    else:
        session.choose_reference(session.frames[1])
    session.restore(run)
    corner = session.overlays.find(REFINED).data_to_world((0, -0.5, -0.5))[1:]
    np.testing.assert_allclose(corner, np.add(VIEW.origin, (6.5, -3.5)))

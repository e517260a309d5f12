"""Maps of one band, figures of merit and verdicts: the plain formulas, and the words around them."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.heldout.gate import fixed_gate
from hsimisr.heldout.judge import Score
from hsimisr.metrics import evaluate
from hsimisr.physics.canvas import Canvas
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from hsimisr.pipeline.learned import LearnedStage
from hsimisr.pipeline.refinement import Refinement, Verdict
from hsimisr.report.verdicts import verdict_rows
from napari_hsimisr.band_maps import BandPlan
from napari_hsimisr.counterpart import Counterpart, counterpart, truth_of
from napari_hsimisr.figures import FiguresPlan
from napari_hsimisr.maps import Summary, round_up


@pytest.fixture
def result(desk):
    """Ramps with an error bar of 0.5 everywhere."""
    return desk.result()


def truth_for(result, values: np.ndarray, **metadata: object) -> Counterpart:
    frame = Cube.from_array(np.zeros((2, 24, 20), np.float32), scale_factor=0.001)
    return counterpart(Cube.from_array(values, **metadata), result.estimate, frame)


def test_error_and_error_bar_of_a_band(result) -> None:
    value = result.estimate.bands()
    truth = truth_for(result, (value + 2) * 0.001, scale_factor=1.0)  # in other units than the frames
    for in_bars, size in ((False, 2.0), (True, 4.0)):
        found = BandPlan(result.estimate, 1, True, truth, in_bars).read()
        assert found.error is not None
        np.testing.assert_allclose(found.error.values, size, rtol=1e-4)
        assert found.rms == pytest.approx(size, rel=1e-4)
        assert found.relative is not None
        np.testing.assert_allclose(found.relative.values, 50 / np.abs(value[1]), rtol=1e-5)


def test_pixels_are_faded_where_the_error_bar_is_a_large_part_of_the_value(result) -> None:
    measured = np.ones((24, 20), bool)
    measured[3, 4] = False
    found = BandPlan(replace(result.estimate, measured=measured), 0, True, None, False).read()
    faded = found.beyond(10.0)
    assert faded is not None
    value = result.estimate.bands()[0]
    expected = np.abs(value) < 5
    unseen = ~measured.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(np.isfinite(faded.values), expected & ~unseen)
    assert found.share_beyond(10.0) == pytest.approx(expected[~unseen].mean())
    assert found.error is None


def test_a_value_of_zero_is_faded_at_any_limit(result) -> None:
    nothing = replace(result.estimate, mean=np.zeros_like(result.estimate.mean))
    found = BandPlan(nothing, 0, True, None, False).read()
    assert found.share_beyond(1e9) == 1


def test_figures_are_those_of_the_library_for_refined_and_baseline(result) -> None:
    truth = result.estimate.bands() + np.random.default_rng(0).normal(size=(2, 48, 40)).astype(np.float32)
    worse = replace(result, baseline=replace(result.estimate, mean=1.1 * result.estimate.mean))
    figures = FiguresPlan(worse, truth_for(result, truth * 0.001)).read()
    refined, bicubic = (evaluate(truth, estimate.bands(), 2) for estimate in (worse.estimate, worse.baseline))
    rows = {name: values for name, *values in figures.rows}
    assert rows["PSNR (dB)"] == [f"{refined.psnr:.2f}", f"{bicubic.psnr:.2f}"]
    assert rows["SAM (°)"] == [f"{refined.sam:.3f}", f"{bicubic.sam:.3f}"]
    assert rows["ERGAS"] == [f"{refined.ergas:.3f}", f"{bicubic.ergas:.3f}"]
    lines = figures.as_text().splitlines()
    assert lines[0] == "\trefined\tbicubic"
    assert lines[1].split("\t") == ["PSNR (dB)", *rows["PSNR (dB)"]]
    assert "view 0:24,0:20, ×2, 2 of 2 bands" in lines[-1]


def test_a_cube_on_the_grid_of_the_frames_is_no_truth(desk) -> None:
    session = desk.session
    session.refine(PipelineConfig(), whole=True)
    session.handle(Finished(desk.jobs[-1].number, desk.result()))
    with pytest.raises(StackError, match="×2 as many"):
        truth_of(session.frames[1], session.request, session.result)


def told(*verdicts: Verdict) -> dict[str, Any]:
    """What a run of both learned stages tells of its tiles."""
    stages: Any = (SimpleNamespace(name="refine"), SimpleNamespace(name="diffuse"))
    return LearnedStage(Refinement(stages, verdicts=list(verdicts)), None).diagnostics()


def verdict(stage: str, weight: float, reason: str, gain: float = math.nan, *misfits: float) -> Verdict:
    canvas = Canvas.around(View(0, 8, 0, 8), 2, 2)
    gate = replace(fixed_gate(canvas, torch.device("cpu"), weight, reason), gain=gain, gain_stderr=0.19 * gain)
    return Verdict(stage, gate, *(Score(1.9, misfit, 0.01) for misfit in misfits))


def test_verdicts_of_a_single_tile_in_words(result) -> None:
    assert verdict_rows(result) == []
    judged = verdict("refine", 0.25, "held-out frames support it", 0.0121, 1.02, 0.99)
    learned = told(judged, verdict("diffuse", 0.0, "no frame could be held out"))
    rows = verdict_rows(replace(result, diagnostics={"learned": learned}))
    assert rows == [
        ("Learned refinement", "gate weight 0.25"),
        ("Held-out gain", "+0.0121 ± 0.0023"),
        ("Misfit before → after", "1.020 → 0.990"),
        ("Verdict", "held-out frames support it"),
        ("Diffusion", "gate weight 0.00"),
        ("Held-out gain", "not judged"),
        ("Misfit before → after", "not judged"),
        ("Verdict", "no frame could be held out"),
    ]


def test_verdicts_of_several_tiles_take_a_row_each(result) -> None:
    learned = told(*(verdict("refine", weight, "", 0.1, 1.2, 1.1) for weight in (0.5, 1.0)))
    learned["adapt"] = {"steps": 20, "held_out_misfit": [1.3, 1.1]}
    assert verdict_rows(replace(result, diagnostics={"learned": learned})) == [
        ("Learned refinement, tile 1", "gate weight 0.50, held-out gain +0.1000 ± 0.0190, misfit 1.200 → 1.100"),
        ("Learned refinement, tile 2", "gate weight 1.00, held-out gain +0.1000 ± 0.0190, misfit 1.200 → 1.100"),
        ("Adaptation", "held-out misfit 1.300 → 1.100 in 20 steps"),
    ]


def test_numbers_and_colours_of_a_map() -> None:
    values = np.append(np.arange(101.0), np.nan)
    assert Summary.of(values) == Summary(50.0, 50.0, 95.0)
    assert np.isnan(Summary.of(values[-1:]).median)
    assert [round_up(value) for value in (0.011, 0.9, 1.0, 1.2, 23, 97)] == pytest.approx([0.015, 1, 1, 1.5, 25, 100])

"""Which frames are held out, what counts of them, and scores of estimates whose quality is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.errors import StackError
from hsimisr.geometry import View, apply_motion
from hsimisr.heldout.judge import Residuals, held_out_frames, held_out_residuals, most_held_out, score
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.robust import solve_robustly, trusted
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations, lay_out
from hsimisr.physics.operator import ShiftOperator
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, Registration

PSF = Psf.parse("mtf:0.29")
INSIDE = 3
CPU = torch.device("cpu")


def frames_at(shifts) -> Observations:
    """Frames of nothing, moved by `shifts`."""
    canvas = Canvas((0, 0), (16, 16), 2, View.whole((16, 16)))
    operator = ShiftOperator(canvas, PSF, np.array(shifts, float), CPU)
    k = len(shifts)
    return Observations(operator, torch.zeros(k, 1, 16, 16), torch.ones(k, 1, 16, 16), torch.ones(k, 1))


def permuted(o: Observations, order) -> Observations:
    operator = ShiftOperator(o.canvas, PSF, o.operator.shifts[order], CPU)
    return Observations(operator, o.data[order], o.weight[order], o.variance[order])


@pytest.mark.parametrize(("frames", "most"), [(1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (16, 4)])
def test_no_more_frames_are_held_out_than_the_rest_can_spare(frames, most):
    assert most_held_out(frames) == most
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, (frames, 2))
    held = held_out_frames(frames_at(shifts), 0, 100)
    assert len(held) == most
    assert 0 not in held


def test_frames_that_measured_nothing_are_neither_held_out_nor_counted():
    shifts = np.random.default_rng(1).uniform(-0.5, 0.5, (8, 2))
    o = frames_at(shifts)
    for k in (2, 3, 4, 5, 6, 7):
        o = o.without(k)
    assert held_out_frames(o, 0, 2) == (1,)
    assert held_out_frames(o.without(1), 0, 2) == ()


def test_a_noisier_or_cloudy_frame_is_not_held_out():
    """The farthest in phase by far, but each tells less than four fifths of what the others do."""
    o = frames_at([[0, 0], [0.5, 0.5], [0.1, 0], [0.5, 0.5]])
    o.variance[1] = 1.5
    o.weight[3, :, :, :5] = 0
    assert held_out_frames(o, 0, 1) == (2,)


def test_equal_frames_are_taken_from_all_phases():
    """One pixel apart is the same phase: 0.95 is nearer to the reference than 0.3."""
    o = frames_at([[0, 0], [0.95, 0], [0.3, 0.2], [0.5, 0.5], [0.45, 0.5], [1.05, 0.5], [0.5, -0.05], [0.1, 0.1]])
    assert held_out_frames(o, 0, 1) == (3,)
    assert held_out_frames(o, 0, 2) in {(3, 5), (3, 6)}


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_does_not_depend_on_the_order_of_frames(seed):
    rng = np.random.default_rng(seed)
    o = frames_at(rng.uniform(-2, 2, (12, 2)))
    o.variance[:, 0] = torch.from_numpy(rng.uniform(1, 1.5, 12))
    order = rng.permutation(12)
    held = held_out_frames(permuted(o, order), int(np.flatnonzero(order == 0)[0]), 3)
    assert sorted(order[list(held)]) == list(held_out_frames(o, 0, 3))


def test_the_truth_leaves_noise_of_unit_variance(laboratory):
    """Whatever noise a frame has, and however little it is trusted."""
    lab, rng = laboratory(), np.random.default_rng(0)
    truth = lab.scene(rng)
    o = lab.observe(truth, rng)
    noise = o.data - o.operator.forward(truth)
    scale = torch.tensor([1.0, 2.0, 1.0, 3.0, 0.5])
    o = replace(o, data=o.data + (scale - 1)[:, None, None, None] * noise)
    o = replace(o, variance=scale[:, None] ** 2 * torch.tensor([1.0, 1.0, 1.0, 0.5, 1.0])[:, None].expand(5, 3))
    o = replace(o, weight=o.weight * torch.tensor([1.0, 1.0, 1.0, 0.5, 1.0])[:, None, None, None])
    for left in held_out_residuals(o, (1, 3), truth):
        counted = left.whitened[:, left.counts]
        assert counted.numel() > 0.99 * lab.rank * 64**2
        assert float((counted**2).mean()) == pytest.approx(1, abs=5 * np.sqrt(2 / counted.numel()))


def test_pixels_count_well_inside_what_the_other_frames_cover(laboratory, masked):
    lab = laboratory()
    rng = np.random.default_rng(0)
    o = lab.observe(lab.scene(rng), rng)
    hidden = torch.zeros(lab.frames, *lab.canvas.shape, dtype=torch.bool)
    hidden[1:, :, :20] = True  # only the two held out show the left; one of them has a cloud of its own
    hidden[0, :, :20] = True
    hidden[2, 30:40, 50:60] = True
    hidden[[1, 2], :, :20] = False
    first, second = held_out_residuals(masked(o, hidden), (1, 2), lab.scene(rng))
    expected = torch.zeros(lab.canvas.shape, dtype=torch.bool)
    expected[4:68, 20 + INSIDE : 68] = True
    # the frames' fractions of a pixel move the border by one at most
    assert not (first.counts & ~expected)[:, : 20 + INSIDE - 1].any()
    assert first.counts[5:67, 20 + INSIDE + 1 : 67].all()
    assert not first.counts[:3].any()
    assert not first.counts[:, 69:].any()
    assert bool((second.counts[:, 20 + INSIDE + 1 : 50] == first.counts[:, 20 + INSIDE + 1 : 50])[5:67].all())
    assert not second.counts[30:40, 50:60].any()
    assert second.counts[29, 50:60].all()


def test_what_counts_follows_the_motion():
    """A frame that turns shows the ground elsewhere: compared with the geometry, pixel by pixel."""
    view, angle = View.whole((60, 60)), np.deg2rad(8)
    canvas = Canvas.around(view, 4, 2)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:2, 2] = 29.5 - turn[:2, :2] @ np.array([29.5, 29.5])
    registration = Registration((FrameMotion(np.eye(3)), FrameMotion(turn, model="affine")))
    frames, masks = [np.zeros((1, 60, 60), np.float32)] * 2, [np.ones((60, 60), bool)] * 2
    masks[0] = masks[0].copy()
    masks[0][:, :25] = False
    o = lay_out(frames, masks, registration, canvas, PSF, CPU)
    (left,) = held_out_residuals(o, (1,), torch.zeros(1, 4, canvas.shape[0], canvas.half_width).cfloat())
    pixels = np.stack(np.meshgrid(np.arange(60), np.arange(60), indexing="ij"), -1)
    ground = apply_motion(np.linalg.inv(turn), pixels)
    # the reference ends at -0.5, 59.5 and begins at 24.5; what counts lies 3 pixels inside
    inside = np.minimum(ground.min(-1) + 0.5, 59.5 - ground.max(-1)) - INSIDE
    inside = np.minimum(inside, ground[..., 1] - 24.5 - INSIDE)
    found = left.counts[4:64, 4:64].numpy()
    assert found[inside > 0.75].all()
    assert not found[inside < -0.75].any()
    assert int(found.sum()) > 1000


def test_what_only_the_held_out_frame_shows_is_known_from_the_others(laboratory):
    lab, rng = laboratory(), np.random.default_rng(2)
    truth = lab.scene(rng)
    o = lab.observe(truth, rng)
    cloudy = replace(o, data=o.data.clone())
    cloudy.data[3, :, 20:35, 20:35] += 40
    found = solve_robustly(cloudy.without(3), lab.prior, LmmseConfig())
    (blind,) = held_out_residuals(cloudy, (3,), found.spectrum)
    (told,) = held_out_residuals(trusted(found, cloudy.weight), (3,), found.spectrum)
    (clear,) = held_out_residuals(o, (3,), found.spectrum)
    assert not told.counts[20:35, 20:35].any()
    assert float((told.counts & clear.counts).sum()) > 0.85 * float(clear.counts.sum())
    predictive = predictive_variance(o, (3,), lab.prior)
    assert score([blind], predictive).normalised > 3
    assert score([told], predictive).normalised == pytest.approx(score([clear], predictive).normalised, rel=0.05)


def test_a_frame_that_shows_nothing_cannot_judge(laboratory):
    lab, rng = laboratory(), np.random.default_rng(0)
    truth = lab.scene(rng)
    with pytest.raises(StackError, match="hold out another"):
        held_out_residuals(lab.observe(truth, rng).without(2), (2,), truth)


def test_scores_are_means_over_what_counts():
    rng = np.random.default_rng(0)
    canvas = Canvas((0, 0), (24, 24), 2, View.whole((24, 24)))
    counts = [torch.from_numpy(rng.random((24, 24)) > 0.3) for _ in range(2)]
    whitened = [torch.from_numpy(rng.standard_normal((3, 24, 24))).float() for _ in range(2)]
    for values, where in zip(whitened, counts, strict=True):
        values[:, ~where] = torch.nan  # whatever stands where nothing counts
    predictive = torch.from_numpy(rng.uniform(1, 3, (2, 3, 24, 24)))
    found = score([Residuals(canvas, k, whitened[k], counts[k]) for k in range(2)], predictive)
    power = [(whitened[k] ** 2)[:, counts[k]] for k in range(2)]
    normal = [power[k] / predictive[k][:, counts[k]] for k in range(2)]
    assert found.raw == pytest.approx(float(torch.cat(power, 1).mean()), rel=1e-5)
    assert found.normalised == pytest.approx(float(torch.cat(normal, 1).mean()), rel=1e-5)
    # independent data of variance 2 over some spread
    assert found.stderr == pytest.approx(float(torch.cat(normal, 1).std()) / np.sqrt(6 * 24**2 * 0.7), rel=0.6)


def test_where_nothing_counts_there_is_no_score():
    canvas = Canvas((0, 0), (24, 24), 2, View.whole((24, 24)))
    nothing = Residuals(canvas, 0, torch.ones(1, 24, 24), torch.zeros(24, 24, dtype=torch.bool))
    found = score([nothing], torch.ones(1, 1, 24, 24))
    assert np.isnan([found.raw, found.normalised]).all()
    assert found.stderr == np.inf


@pytest.mark.parametrize(("frames", "count"), [(5, 1), (8, 2)])
def test_the_lmmse_scores_one_where_its_model_holds(laboratory, frames, count):
    """Normalised it is 1 within its standard error, which is right too; the raw score is not."""
    lab, rng, draws = laboratory(frames=frames), np.random.default_rng(3), 16
    deviations, raw = [], []
    for _ in range(draws):
        o = lab.observe(lab.scene(rng), rng)
        held = held_out_frames(o, 0, count)
        predictive = predictive_variance(o, held, lab.prior)
        found = score(held_out_residuals(o, held, lab.estimate(o, held)), predictive)
        deviations.append((found.normalised - 1) / found.stderr)
        raw.append((found.raw - 1) / found.stderr)
    assert abs(np.mean(deviations)) < 4 / np.sqrt(draws)
    assert np.std(deviations) == pytest.approx(1, abs=4 / np.sqrt(2 * draws))
    assert np.mean(raw) > 5


def test_a_worse_estimate_scores_worse_in_both(laboratory):
    lab, rng = laboratory(), np.random.default_rng(4)
    o = lab.observe(lab.scene(rng), rng)
    predictive = predictive_variance(o, (1,), lab.prior)
    right, wrong = (score(held_out_residuals(o, (1,), lab.estimate(o, (1,), t)), predictive) for t in (1.0, 0.03))
    assert wrong.raw > right.raw
    assert wrong.normalised > right.normalised + 2 * right.stderr

"""The gate: open where a stage is better, closed where it is worse or only different."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.heldout.gate import GateWeight, fixed_gate, gate
from hsimisr.heldout.judge import Residuals, held_out_frames, held_out_residuals
from hsimisr.physics.canvas import Canvas

HELD = (2,)


@pytest.fixture(scope="module")
def case(laboratory):
    """Make a scene, its frames and the estimate of those that are not held out."""
    lab = laboratory()

    def make(seed, held=HELD):
        rng = np.random.default_rng(seed)
        truth = lab.scene(rng)
        o = lab.observe(truth, rng)
        return lab, rng, truth, o, lab.estimate(o, held)

    return make


def gated(o, before, after, held=HELD, **more) -> GateWeight:
    return gate(held_out_residuals(o, held, before), held_out_residuals(o, held, after), **more)


def error(lab, image, truth) -> float:
    view = (slice(None), *lab.canvas.view_slices)
    return float(((image - lab.canvas.to_image(truth))[view] ** 2).mean())


@pytest.mark.parametrize("seed", range(3))
def test_it_opens_for_the_right_noise_and_closes_for_the_wrong_one(case, seed):
    """An estimate that believes its frames too little or too much, and the one that is right."""
    lab, _, truth, o, right = case(seed)
    for trust in (0.02, 50.0):
        wrong = lab.estimate(o, HELD, trust)
        opened, closed = gated(o, wrong, right), gated(o, right, wrong)
        assert opened.mean > 0.9
        assert opened.gain > 2 * opened.gain_stderr
        assert closed.mean < 0.1
        images = lab.canvas.to_image(wrong), lab.canvas.to_image(right)
        best = min(error(lab, image, truth) for image in images)
        assert error(lab, opened.blend(*images), truth) < 1.02 * best
        assert error(lab, closed.blend(*images[::-1]), truth) < 1.02 * best


def test_halfway_past_the_goal_it_goes_halfway(case):
    """A change that overshoots by its own length: the best weight is a half."""
    _, _, truth, o, before = case(4)
    found = gated(o, before, before + 2 * (truth - before))
    inside = found.map[4:68, 4:68]
    assert found.mean == pytest.approx(0.5, abs=0.05)
    assert float(inside.std()) < 0.1


def test_what_the_frames_cannot_see_rarely_opens_it(case):
    """Differences that are noise: null-space fields and errors as large as the estimate's own."""
    wide = {"null": 0, "error": 0}
    anywhere, average, seeds = 0, 0.0, 60
    for seed in range(seeds):
        lab, rng, _, o, before = case(seed)
        other = lab.scene(rng)
        wrong = other - lab.estimate(lab.observe(other, rng), HELD)
        for kind, field in (("null", 0.3 * lab.null_field(rng, HELD)), ("error", 0.3 * wrong)):
            found = gated(o, before, before + field)
            wide[kind] += found.mean > 0.2
            anywhere += float(found.map.max()) > 0
            average += found.mean / (2 * seeds)
    # two standard errors over the view and once more over all regions: 1 in 22 by design
    assert wide["null"] <= 5
    assert wide["error"] == 0
    assert anywhere <= 10
    assert average < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_what_is_better_on_the_left_only_is_taken_there_only(laboratory, seed):
    lab, rng = laboratory(side=96), np.random.default_rng(seed)
    truth = lab.scene(rng)
    o = lab.observe(truth, rng)
    before = lab.estimate(o, HELD)
    other = lab.scene(rng)
    wrong = 0.5 * (other - lab.estimate(lab.observe(other, rng), HELD))
    left = (torch.arange(lab.canvas.hr_shape[1]) < lab.canvas.hr_shape[1] // 2).float()
    images = [lab.canvas.to_image(s) for s in (before, before + wrong, truth)]
    after = images[1] + 0.5 * left * (images[2] - images[0])
    found = gated(o, before, lab.canvas.to_spectrum(after))
    inside = found.map[4:100, 4:100]
    assert float(inside[:, :32].mean()) > 0.7
    assert float(inside[:, 64:].mean()) < 0.1
    mixed = error(lab, found.blend(images[0], after), truth)
    assert mixed < min(error(lab, images[0], truth), error(lab, after, truth))


def test_the_order_of_frames_does_not_matter(laboratory):
    lab, rng = laboratory(frames=8), np.random.default_rng(1)
    truth = lab.scene(rng)
    o = lab.observe(truth, rng)
    held = held_out_frames(o, 0, 2)
    before = lab.estimate(o, held)
    pairs = [held_out_residuals(o, held, image) for image in (before, before + 0.2 * (truth - before))]
    found, turned = gate(*pairs), gate(*(pair[::-1] for pair in pairs))
    assert turned.mean == pytest.approx(found.mean, rel=1e-6)
    assert turned.gain == pytest.approx(found.gain, rel=1e-6)
    assert found.mean > 0.5


def test_two_frames_tell_more_than_one(laboratory):
    lab, rng = laboratory(frames=8), np.random.default_rng(2)
    truth = lab.scene(rng)
    o = lab.observe(truth, rng)
    held = held_out_frames(o, 0, 2)
    before = lab.estimate(o, held)
    pairs = [held_out_residuals(o, held, image) for image in (before, before + 0.2 * (truth - before))]
    both, first = gate(*pairs), gate(*(pair[:1] for pair in pairs))
    assert both.gain / both.gain_stderr > first.gain / first.gain_stderr


def test_what_does_not_count_has_no_say(case):
    """Clouds: a difference that would close the gate, where the frame was not measured."""
    _, _, truth, o, before = case(5)
    weight = o.weight.clone()
    weight[2, :, 10:40, 10:40] = 0
    o = replace(o, weight=weight, data=torch.where(weight > 0, o.data, 1e4))
    one, two = (held_out_residuals(o, HELD, image) for image in (before, before + 0.5 * (truth - before)))
    found = gate(one, two)
    for residuals in (one, two):
        residuals[0].whitened[:, ~residuals[0].counts] = torch.nan
    again = gate(one, two)
    assert found.mean > 0.9
    assert bool((again.map == found.map).all())


def residuals(canvas, values, counts=None) -> list[Residuals]:
    counts = torch.ones(canvas.shape, dtype=torch.bool) if counts is None else counts
    return [Residuals(canvas, 0, torch.as_tensor(values, dtype=torch.float32), counts)]


def test_over_one_region_the_weight_is_that_of_least_squares():
    """Errors e0, e1 with a best blend inside (0, 1), found by trying all."""
    rng, canvas = np.random.default_rng(0), Canvas((0, 0), (20, 20), 2, View.whole((20, 20)))
    common = rng.standard_normal((2, 20, 20))
    e0, e1 = common + rng.standard_normal((2, 20, 20)), common - 2 * rng.standard_normal((2, 20, 20))
    tried = np.linspace(0, 1, 1001)
    best = tried[np.argmin([(((1 - a) * e0 + a * e1) ** 2).sum() for a in tried])]
    found = gate(residuals(canvas, e0), residuals(canvas, e1))
    assert 0.05 < best < 0.95
    assert found.map.numpy() == pytest.approx(np.full((20, 20), best), abs=1e-3)


def test_a_region_that_tells_nothing_takes_the_decision_of_the_view():
    rng, canvas = np.random.default_rng(1), Canvas((0, 0), (96, 96), 2, View.whole((96, 96)))
    noise, extra = rng.standard_normal((2, 2, 96, 96))
    counts = torch.ones(96, 96, dtype=torch.bool)
    counts[:40, :40] = False
    found = gate(residuals(canvas, noise + 0.5 * extra, counts), residuals(canvas, noise, counts))
    assert float(found.map[:8, :8].mean()) == pytest.approx(found.mean, abs=0.1)
    assert found.mean == pytest.approx(1, abs=0.1)


def test_the_gain_claims_no_more_than_new_noise_would_show():
    """Weights are not judged by the noise that they were fitted to: that would claim an eighth of an error too much."""
    rng, canvas, draws = np.random.default_rng(2), Canvas((0, 0), (32, 32), 2, View.whole((32, 32))), 800
    off = []
    for _ in range(draws):
        noise, wrong, other = rng.standard_normal((3, 2, 32, 32))
        step = 0.25 * (wrong + other)  # half of it takes the error off, the other half puts one on
        found = gate(residuals(canvas, noise + 0.25 * wrong), residuals(canvas, noise + 0.25 * wrong - step))
        drop = (0.25 * wrong) ** 2 - (0.25 * wrong - found.map.numpy() * step) ** 2
        if found.mean > 0:
            off.append((found.gain - drop.mean()) / found.gain_stderr)
    assert len(off) > 0.9 * draws
    assert np.mean(off) < 2 / np.sqrt(len(off))
    assert np.std(off) == pytest.approx(1, abs=0.25)


def test_the_map_is_smooth_and_reaches_the_hr_grid():
    """Errors that one estimate makes on the left, the other on the right."""
    rng, canvas = np.random.default_rng(3), Canvas.around(View.whole((64, 60)), 4, 3)
    noise, wrong = rng.standard_normal((2, 2, *canvas.shape))
    left = np.arange(canvas.shape[1]) < canvas.shape[1] // 2
    found = gate(residuals(canvas, noise + left * wrong), residuals(canvas, noise + ~left * wrong))
    weight = found.on_hr()
    assert weight.shape == canvas.hr_shape
    assert 0 <= float(found.map.min()) < 0.1
    assert 0.9 < float(found.map.max()) <= 1
    # from 0 to 1 within the 15 LR pixels between centres, by cos^2
    for axis in (0, 1):
        assert float(found.map.diff(dim=axis).abs().max()) < np.pi / 30 + 1e-6
        assert float(weight.diff(dim=axis).abs().max()) < np.pi / 90 + 1e-6
    assert torch.nn.functional.avg_pool2d(weight[None], 3)[0].numpy() == pytest.approx(found.map.numpy(), abs=0.02)
    assert found.mean == pytest.approx(float(found.map[4:68, 4:64].mean()), rel=1e-5)
    before, after = torch.from_numpy(rng.standard_normal((2, 5, *canvas.hr_shape))).float()
    assert found.blend(before, after).numpy() == pytest.approx(
        ((1 - weight) * before + weight * after).numpy(), abs=1e-5
    )


def test_two_equal_estimates_leave_it_closed(case):
    _, _, _, o, before = case(7)
    found = gated(o, before, before)
    assert (found.mean, found.gain, float(found.map.max())) == (0, 0, 0)
    assert "no clear gain" in found.reason


def test_a_fixed_weight_blends_alike_everywhere():
    canvas = Canvas.around(View.whole((30, 20)), 4, 3)
    found = fixed_gate(canvas, torch.device("cpu"), 0.25, "no frame could be held out")
    before, after = torch.randn(2, 2, *canvas.hr_shape)
    torch.testing.assert_close(found.blend(before, after), 0.75 * before + 0.25 * after)
    assert (found.mean, found.reason) == (0.25, "no frame could be held out")
    assert np.isnan([found.gain, found.gain_stderr]).all()


def test_windows_too_small_to_judge_are_refused(case):
    _, _, _, o, before = case(8)
    with pytest.raises(ConfigError, match="16 or more"):
        gated(o, before, before, size=8)

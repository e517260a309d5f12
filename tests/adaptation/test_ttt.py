"""Training on a scene: what it lowers, what it leaves alone, and how it ends."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from hsimisr.adaptation.config import TestTimeTrainingConfig as Config
from hsimisr.adaptation.degradation import WIDEST, Degradation
from hsimisr.adaptation.lessons import cycle_lesson, lesson
from hsimisr.adaptation.ttt import SMOOTH, adapt, heldout_misfit, lesson_loss
from hsimisr.networks.consistency import observe


@pytest.fixture
def classroom(problem, motions, solve, refiner):
    """Two lessons, a cycle lesson and judges of one scene."""
    o = problem.observations
    judges, _ = lesson(o, (3,), (3,), motions, solve)
    lessons = [lesson(o, (k,), (3,), motions, solve)[0] for k in (1, 2)]
    cycle = cycle_lesson(refiner, judges.situation, motions, solve, torch.Generator().manual_seed(0))
    return lessons, [cycle], judges


def test_the_best_refiner_on_the_way_is_returned(refiner, classroom):
    lessons, cycles, judges = classroom
    seen = []
    found = adapt(
        refiner, lessons, cycles, judges, Config(steps=15, learning_rate=3e-3), on_check=lambda c, _: seen.append(c)
    )
    assert [check.step for check in seen] == [0, 5, 10, 15] == [check.step for check in found.checks]
    assert found.best.heldout == min(check.heldout for check in seen)
    assert heldout_misfit(found.refiner, judges) == pytest.approx(found.best.heldout, rel=1e-5)


def test_lessons_lower_the_loss_they_train_on(refiner, classroom):
    lessons, _, _ = classroom
    before = heldout_misfit(refiner, lessons[0])
    found = adapt(refiner, lessons[:1], (), lessons[0], Config(steps=40, learning_rate=3e-3, train="all", cycle=0))
    assert found.best.heldout < before - 0.005


def test_what_is_frozen_stays(refiner, classroom):
    lessons, cycles, _ = classroom
    original = copy.deepcopy(refiner.state_dict())
    found = adapt(refiner, lessons, cycles, lessons[0], Config(steps=10, learning_rate=1e-2, train="last"))
    assert all(torch.equal(value, original[name]) for name, value in refiner.state_dict().items())  # a copy was trained
    changed = {name for name, value in found.refiner.state_dict().items() if not torch.equal(value, original[name])}
    assert changed
    assert all(name.startswith(("trunk.0", "residual_head", "strength")) for name in changed)


def test_the_same_seed_gives_the_same_refiner(refiner, classroom):
    lessons, cycles, judges = classroom
    config = Config(steps=10, learning_rate=3e-3)
    first, second = (adapt(refiner, lessons, cycles, judges, config).refiner.state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_it_ends_when_patience_does(refiner, classroom):
    lessons, cycles, judges = classroom
    ruin = Config(steps=200, learning_rate=0.1, patience=1)
    assert adapt(refiner, lessons, cycles, judges, ruin).checks[-1].step < 200


def test_it_can_be_stopped_in_any_step(refiner, classroom):
    lessons, cycles, judges = classroom

    class Stop(Exception):
        pass

    def on_step(step):
        if step == 7:
            raise Stop

    bests = []
    with pytest.raises(Stop):
        adapt(refiner, lessons, cycles, judges, Config(), on_step, lambda _, best: bests.append(best))
    assert bests[0] is not None  # what was best by then had been told


def test_the_loss_is_its_formula(problem, motions, solve):
    told, _ = lesson(problem.observations, (2,), (), motions, solve)
    o = problem.observations
    frames, log_noise = o.data + 0.3, torch.tensor([0.2, -0.1])
    expected, count = 0.0, 0
    for i in range(2):
        for y, x in np.argwhere(told.counts[2, 0].numpy()):
            error = 0.3 / float(o.variance[2, i]) ** 0.5 * np.exp(-float(log_noise[i]) / 2)
            expected += np.sqrt(error**2 + SMOOTH**2) + float(log_noise[i]) / 2
            count += 1
            assert bool(o.weight[2, 0, y, x] > 0)
    assert float(lesson_loss(frames, told, log_noise)) == pytest.approx(expected / count, rel=1e-4)


@torch.no_grad()
def test_a_wider_psf_is_a_gaussian_more(problem):
    branch, o = Degradation(2), problem.observations
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((2, *o.canvas.hr_shape))).float()
    assert torch.allclose(branch(image, o), observe(image, o), atol=1e-5)
    branch._bend[:] = torch.atanh(torch.tensor([0.5, -0.25]))
    fy, fx = (np.fft.fftfreq(n) * 2 for n in o.canvas.hr_shape)
    extra = WIDEST * np.array([0.5, -0.25])
    transfer = np.exp(-2 * np.pi**2 * (extra[0] * fy[:, None] ** 2 + extra[1] * fx[None, :] ** 2))
    blurred = np.fft.ifft2(np.fft.fft2(image.numpy()) * transfer).real
    assert torch.allclose(branch(image, o), observe(torch.from_numpy(blurred).float(), o), atol=1e-4)

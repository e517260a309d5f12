"""The student's loss: 0 where teacher and student add nothing, repeatable, and lower for who knows the target."""

from __future__ import annotations

import math

import pytest
import torch

from hsimisr.diffusion.consistency import reach
from hsimisr.diffusion.noise import LOWEST, noise_levels
from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.training import distillation
from hsimisr.training.distillation import HIGHEST, RUNGS, distillation_loss
from hsimisr.training.loss import FLOOR
from hsimisr.training.pool import TRAINING
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import make_sample

SHAPE = DenoiserShape(role="student", width=8, heads=2, layers=1, evidence=4, groups=2)


@pytest.fixture(scope="module")
def sample():
    tiny = {"situations": {"scales": {2: 1.0}, "frames": [3, 3], "patches": [16], "iterations": 10}}
    return make_sample(Recipe.model_validate({**tiny, "scenes": {"real": 0.0, "bands": [12, 12]}}), (), TRAINING, 0)


def network(seed, std):
    torch.manual_seed(seed)
    made = Denoiser(SHAPE)
    torch.nn.init.normal_(made.head.weight, std=std)
    return made


class Says:
    """A network that always gives the same answer, and remembers at which levels it was asked."""

    def __init__(self, answer):
        self.answer, self.levels = answer, []

    def condition(self, *_):
        return None

    def __call__(self, _known, noisy, _ended, level):
        self.levels.append(level)
        return self.answer.expand_as(noisy)


@pytest.mark.parametrize("seed", range(6))
def test_of_a_teacher_that_adds_nothing_the_student_learns_what_it_says_a_rung_below(sample, seed):
    """Its answers count as far as it may reach: the target is smaller where the reach grows."""
    levels = noise_levels(HIGHEST, LOWEST, RUNGS)
    student = Says(torch.ones(()))
    settled = Says(torch.ones(()))
    _, ratio = distillation_loss(student, settled, Says(torch.zeros(())), sample, seed)
    (level,), (lower,) = student.levels, settled.levels
    assert levels.index(lower) == levels.index(level) + 1
    if lower > 1.01 * LOWEST:
        target = reach(lower) / reach(level)
        assert float(ratio) == pytest.approx((1 / target - 1) ** 2, rel=1e-3)


def test_who_says_what_the_target_is_has_no_loss(sample, monkeypatch):
    """Where the flow carries changes unchanged, a constant answer of the teacher adds up to one of the student."""
    monkeypatch.setattr(distillation, "follow_flow", lambda _posterior, image, _level, _lower: image)
    step, settled = 0.7, 0.4
    told = {}

    class Knows(Says):
        def __call__(self, known, noisy, ended, level):
            levels = noise_levels(HIGHEST, LOWEST, RUNGS)
            lower = levels[levels.index(level) + 1]
            told["level"] = level
            by_teacher = (1 - lower / level) * level / (1 + level**2) ** 0.5 * step
            self.answer = torch.tensor((by_teacher + reach(lower) * settled) / reach(level))
            return super().__call__(known, noisy, ended, level)

    loss, ratio = distillation_loss(
        Knows(torch.zeros(())), Says(torch.tensor(settled)), Says(torch.tensor(step)), sample, 1
    )
    assert float(ratio) < 1e-9
    assert float(loss) == pytest.approx(math.log(FLOOR), abs=1e-3)


def test_the_same_seed_is_the_same_lesson_and_only_the_student_is_taught(sample):
    student, settled, teacher = (network(n, 0.1) for n in range(3))
    first, again, other = (distillation_loss(student, settled, teacher, sample, seed)[0] for seed in (3, 3, 4))
    assert first.item() == again.item() != other.item()
    first.backward()
    assert bool(student.head.weight.grad.any())
    assert settled.head.weight.grad is None
    assert teacher.head.weight.grad is None

"""Lessons show nothing of the frames that are to be predicted."""

from __future__ import annotations

import torch

from hsimisr.adaptation.lessons import cycle_lesson, lesson
from hsimisr.heldout.judge import held_out_residuals


def test_the_frame_to_predict_changes_nothing_that_is_shown(problem, motions, solve):
    o = problem.observations
    first, _ = lesson(o, (1,), (3,), motions, solve)
    o.data[1] += 100
    o.data[3] -= 100
    second, _ = lesson(o, (1,), (3,), motions, solve)
    assert torch.equal(first.situation.image, second.situation.image)
    assert torch.equal(first.situation.residual * (first.situation.observations.weight > 0), first.situation.residual)


def test_what_counts_is_the_frame_to_predict_alone(problem, motions, solve):
    found, linear = lesson(problem.observations, (2,), (), motions, solve)
    counted = found.counts.flatten(1).any(1)
    assert counted.tolist() == [False, False, True, False]
    (left,) = held_out_residuals(problem.observations, (2,), linear.spectrum)
    assert torch.equal(found.counts[2, 0], left.counts)


def test_a_cycle_lesson_is_solved_from_frames_of_its_own_truth(problem, motions, solve, refiner):
    everything, _ = lesson(problem.observations, (1,), (), motions, solve)
    made = [
        cycle_lesson(refiner, everything.situation, motions, solve, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(made[0].situation.image, made[1].situation.image)
    assert not torch.equal(made[0].situation.image, made[2].situation.image)
    error = (made[0].situation.image - made[0].truth).square().mean((1, 2)).sqrt()
    assert (error < 2 * made[0].situation.error).all()  # recovered about as well as the solver says
    assert not made[0].situation.observations.data[1].any()  # the frame that was left out is in neither

"""What a consistency student learns: to say at once where a denoiser's steps along the probability flow would end.

Consistency distillation (Song et al., ICML 2023, algorithm 2). Of the flow all that is Gaussian is known, so what is
learned is what the network adds to it: from one rung of noise to the next the teacher adds a change, which the Gaussian
flow carries on to the end, and there the student's own answer at the lower rung joins it. That answer is the moving
average's, which no gradient reaches. Changes are compared before the frames let them through: the data-consistency step
and the flow are both functions of the posterior's precision and are taken to commute.
"""

from __future__ import annotations

import torch

from hsimisr.diffusion.consistency import reach
from hsimisr.diffusion.flow import follow_flow
from hsimisr.diffusion.gaussian import GaussianPosterior
from hsimisr.diffusion.model import Model
from hsimisr.diffusion.noise import LOWEST, Noise, noise_levels
from hsimisr.networks.denoiser import Denoiser
from hsimisr.training.denoising import noisy_truth
from hsimisr.training.loss import FLOOR
from hsimisr.training.sample import Sample

HIGHEST, RUNGS = 4.0, 10
"""Noise levels between which the teacher takes one step, units of the expected error."""


def distillation_loss(
    student: Denoiser, settled: Denoiser, teacher: Denoiser, sample: Sample, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithm of the squared difference from the target relative to the target, and that ratio.

    Args:
        settled: moving average of the student.
        seed: of the noise and its level.
    """
    situation = sample.situation
    posterior = GaussianPosterior.of(situation)
    noise = Noise.of(posterior.canvas, seed)
    unit = posterior.error[:, None, None]
    rung = int(torch.randint(RUNGS - 1, (), generator=torch.Generator().manual_seed(seed)))
    level, lower = noise_levels(HIGHEST, LOWEST, RUNGS)[rung : rung + 2]
    with torch.no_grad(), torch.autocast(unit.device.type, enabled=False):
        noisy = noisy_truth(posterior, sample, level, noise)
        taught = Model(posterior, teacher, teacher.condition(situation, situation.image))
        change = taught.change(noisy, level)[1]
        step = (1 - lower / level) * posterior.let_through(change)
        below = follow_flow(posterior, noisy, level, lower) + step
        ended = follow_flow(posterior, noisy, level, 0.0)
        carried = (1 - lower / level) * follow_flow(posterior, change, lower, 0.0)
        known = settled.condition(situation, situation.image)
        ended_below = ended + follow_flow(posterior, step, lower, 0.0)
        answer = settled(known, below / unit, ended_below / unit, lower)
        target = (carried / unit + reach(lower) * answer) / reach(level)
    told = student(student.condition(situation, situation.image), noisy / unit, ended / unit, level)
    off = (told - target)[sample.view].square().sum()
    ratio = off / target[sample.view].square().sum().clamp_min(1e-12)
    return (ratio + FLOOR).log(), ratio

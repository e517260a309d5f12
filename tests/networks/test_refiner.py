"""The refiner as a whole: what it leaves alone, and what its result does not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from situations import situation_of

from hsimisr.networks.features import LEADING, detail_of
from hsimisr.networks.refiner import LOG_VARIANCE, Refiner, RefinerShape

SMALL = RefinerShape(width=8, blocks=1, stages=2, evidence=8, groups=2)


def repeated(consistency, times):
    """The step in closed form for eigen-images that each come several times."""
    o = consistency.observations
    data, variance = (part.repeat_interleave(times, 1) for part in (o.data, o.variance))
    basis, gain = (part.repeat_interleave(times, 0) for part in (consistency.basis, consistency.gain))
    return replace(consistency, observations=replace(o, data=data, variance=variance), basis=basis, gain=gain)


def refiner(seed=0, trained=True):
    torch.manual_seed(seed)
    model = Refiner(SMALL)
    if trained:
        for head in (model.residual_head, model.variance_head):
            torch.nn.init.normal_(head.weight, std=0.05)
    return model


@torch.no_grad()
def test_untrained_it_keeps_the_linear_estimate_and_its_error(situation):
    out = refiner(trained=False)(situation)
    moved = (out.image - situation.image).square().mean((1, 2)).sqrt()
    assert (moved < 0.2 * situation.error).all()
    assert torch.allclose(out.variance, situation.error[:, None, None] ** 2 * torch.ones_like(out.variance))


@torch.no_grad()
def test_the_order_of_frames_does_not_matter(drawn_problem):
    problem = drawn_problem(shape=(12, 15))
    o, order = problem.observations, [2, 0, 3, 1]
    operator = type(o.operator)(o.canvas, problem.psf, o.operator.shifts[order], torch.device("cpu"))
    turned = replace(o, operator=operator, data=o.data[order], weight=o.weight[order], variance=o.variance[order])
    model = refiner()
    first, second = model(situation_of(problem)), model(situation_of(replace(problem, observations=turned)))
    assert torch.allclose(first.image, second.image, atol=2e-3 * float(situation_of(problem).spread.max()))


@torch.no_grad()
def test_the_result_turns_with_the_signs_of_eigen_images(drawn_problem):
    problem, signs = drawn_problem(shape=(12, 15)), torch.tensor([-1.0, 1.0])
    turned = replace(problem.observations, data=problem.observations.data * signs[:, None, None])
    model = refiner()
    expected, found = model(situation_of(problem)), model(situation_of(replace(problem, observations=turned)))
    tolerance = 1e-3 * float(situation_of(problem).error.max())
    assert torch.allclose(found.image, expected.image * signs[:, None, None], atol=tolerance)
    assert torch.allclose(found.variance, expected.variance, rtol=1e-3)


@torch.no_grad()
def test_a_beginning_saves_work_and_changes_nothing(situation):
    model = refiner()
    assert torch.equal(model(situation, model.begin(situation)).image, model(situation).image)


@torch.no_grad()
def test_eigen_images_behind_the_leading_ones_stay_as_they_are(situation):
    rank = LEADING + 2
    several = replace(
        situation,
        **{name: getattr(situation, name).repeat_interleave(3, 0)[:rank] for name in ("image", "spread", "error")},
        residual=situation.residual.repeat_interleave(3, 1)[:, :rank],
        consistency=repeated(situation.consistency, 3),
    )
    out = refiner()(several)
    assert torch.equal(out.image[LEADING:], several.image[LEADING:])
    assert not torch.allclose(out.image[:LEADING], several.image[:LEADING])


@torch.no_grad()
def test_any_rank(situation):
    """Two eigen-images, fewer than the network can correct."""
    out = refiner()(situation)
    assert out.image.shape == out.variance.shape == situation.image.shape == (2, 24, 30)
    assert torch.isfinite(out.image).all()
    low, high = (float(np.exp(limit)) for limit in LOG_VARIANCE)
    relative = out.variance / situation.error[:, None, None] ** 2
    assert (relative >= low * 0.999).all()
    assert (relative <= high * 1.001).all()


@torch.no_grad()
@pytest.mark.parametrize(("scale", "shape"), [(1, (9, 11)), (3, (7, 9)), (4, (6, 5))])
def test_any_scale_and_odd_sizes(dense_problem, scale, shape):
    problem = dense_problem(scale, shape)
    out = refiner()(situation_of(problem))
    assert out.image.shape == (2, scale * shape[0], scale * shape[1])


def test_it_learns(situation):
    """Steeper edges, a target the frames hardly contradict, are learned through both unrolled stages."""
    error = situation.error[:, None, None]
    target = situation.image + error * torch.tanh(detail_of(situation.image, 2) / error)
    model = refiner(trained=False)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = ((model(situation).image - target) / situation.error[:, None, None]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "variance" not in name)

"""A change may neither contradict the frames nor bend the spectra that they show."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from hsimisr.diffusion.honesty import WORSE, allowed_share, within_bars
from hsimisr.diffusion.noise import Noise


def misfit(o, image):
    left = o.data - o.operator.forward(o.canvas.to_spectrum(image))
    return float((o.precision * left**2).sum())


def finer(low):
    return functional.interpolate(low[None], scale_factor=2)[0]


def test_as_much_is_allowed_as_keeps_the_misfit_within_its_limit(dense_problem):
    o = dense_problem().observations
    torch.manual_seed(0)
    before = torch.randn(2, *o.canvas.hr_shape)
    change = 5 * torch.randn(2, *o.canvas.hr_shape)
    share = allowed_share(before, change, o)
    assert 0 < share < 1
    assert misfit(o, before + share * change) <= WORSE * misfit(o, before)
    assert misfit(o, before + (share + 0.01) * change) > WORSE * misfit(o, before)


def test_what_does_not_contradict_is_allowed_whole(dense_problem):
    o = dense_problem().observations
    before = torch.zeros(2, *o.canvas.hr_shape)
    towards = 0.05 * o.canvas.to_image(o.operator.adjoint(o.precision * o.data))
    assert misfit(o, before + towards) < misfit(o, before)
    assert allowed_share(before, towards, o) == 1.0


def test_samples_of_the_posterior_are_allowed_and_larger_changes_are_not(posed):
    posterior, covariances = posed
    canvas = posterior.canvas
    # of so few data one draw tells little
    fitted = float(np.mean([posterior.fitted(Noise.of(canvas, seed)) for seed in range(20)]))
    sample, twice, as_a_mean = [], [], []
    for seed in range(20):
        noise = Noise.of(canvas, 100 + seed)
        o = posterior.observations
        seen = o.operator.forward(canvas.to_spectrum(posterior.draw(math.inf, noise)))
        o = replace(o, data=(seen + noise.white(seen) * o.variance.sqrt()[:, :, None, None]) * (o.weight > 0))
        right = canvas.to_image(o.operator.adjoint(o.precision * o.data)).double()
        best = torch.stack(
            [(torch.from_numpy(c) @ r.ravel()).reshape(r.shape) for c, r in zip(covariances, right, strict=True)]
        ).float()
        assert misfit(o, best) < misfit(o, torch.zeros_like(best))
        draw = posterior.draw(math.inf, noise)
        sample.append(allowed_share(best, draw, o, fitted))
        twice.append(allowed_share(best, 2 * draw, o, fitted))
        as_a_mean.append(allowed_share(best, draw, o))
    assert np.mean(np.equal(sample, 1)) > 0.5  # the misfit of 180 data is known to 10 %, and 5 % are allowed
    assert np.mean(sample) > 0.8
    assert np.mean(twice) < 0.7
    assert np.mean(as_a_mean) < 0.5


def test_means_over_pixels_of_the_frames_stay_within_the_bar_and_detail_stays():
    torch.manual_seed(0)
    change, bar = 3 * torch.randn(2, 12, 8), torch.tensor([0.5, 2.0])[:, None, None]
    kept = within_bars(change, bar, 2)
    low, before = functional.avg_pool2d(kept, 2), functional.avg_pool2d(change, 2)
    assert bool((low.abs() <= bar + 1e-6).all())
    torch.testing.assert_close(low, before.clamp(-bar, bar))
    detail, detail_before = (
        x - functional.interpolate(m[None], scale_factor=2)[0] for x, m in ((kept, low), (change, before))
    )
    torch.testing.assert_close(detail, detail_before)

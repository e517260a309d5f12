"""Which samples a draw sees depends on its number alone."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from hsimisr.training import pool
from hsimisr.training.pool import TRAINING, Pool, Samples, stream_samples
from hsimisr.training.real_scenes import matching

CPU = torch.device("cpu")


@pytest.fixture
def numbered(monkeypatch):
    """Samples that are their numbers, and are not augmented."""
    monkeypatch.setattr(pool, "stream_samples", lambda samples, numbers, workers, device: iter(numbers))
    monkeypatch.setattr(pool, "augmented", lambda sample, rng: sample)


def draws(recipe, first, last):
    held = Pool(recipe, (), 0, CPU, first)
    return [held.draw(n) for n in range(first, last)]


def test_each_sample_is_used_as_often_as_asked_on_average(tiny, numbered):
    recipe = tiny(optimise={"steps": 500, "batch": 2, "reuse": 4, "pool": 10})
    used = Counter(draws(recipe, 0, 1000))
    inner = [used[n] for n in range(20, 230)]
    assert sum(inner) / len(inner) == pytest.approx(4, abs=0.2)
    assert max(used) > 245  # of 249: each fourth draw brings a new one


def test_draws_come_from_the_newest_samples(tiny, numbered):
    recipe = tiny(optimise={"steps": 100, "batch": 1, "reuse": 2, "pool": 3})
    for number, sample in enumerate(draws(recipe, 0, 100)):
        newest = number // 2
        assert newest - 3 < sample <= newest


@pytest.mark.parametrize("first", [1, 2, 7, 40, 41])
def test_a_pool_that_starts_later_draws_what_it_would_have_drawn(tiny, numbered, first):
    recipe = tiny(optimise={"steps": 100, "batch": 1, "reuse": 3, "pool": 5})
    assert draws(recipe, first, 100) == draws(recipe, 0, 100)[first:]


def test_another_process_makes_the_same_samples(tiny, cubes):
    samples = Samples(tiny(), matching(cubes, ["town-*"]), TRAINING)
    here, there = (list(stream_samples(samples, range(1, 3), workers, CPU)) for workers in (0, 1))
    assert [s.look for s in here] == [s.look for s in there]
    for a, b in zip(here, there, strict=True):
        # threads differ, and with them the order of sums
        torch.testing.assert_close(a.situation.image, b.situation.image, rtol=1e-2, atol=1e-2)

"""A stream of samples made by other processes, and a pool in which each is used several times.

Making a sample takes longer than a step of the network. Which samples a draw sees depends on its number alone, never
on how fast they were made, so that a run can be repeated and gone on with.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hsimisr.training.augment import augmented
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import Sample, make_sample

TRAINING, VALIDATION, DRAWS, SINGLE = range(4)
"""Streams of random numbers."""


class Samples(Dataset[bytes]):
    """Packed samples by number."""

    def __init__(self, recipe: Recipe, files: tuple[Path, ...], stream: int) -> None:
        self.recipe, self.files, self.stream = recipe, files, stream

    def __getitem__(self, n: int) -> bytes:
        return make_sample(self.recipe, self.files, self.stream, n).packed()


def stream_samples(samples: Samples, numbers: range, workers: int, device: torch.device) -> Iterator[Sample]:
    """Samples in order, made by worker processes ahead of time, or in this process with no worker."""
    loader = DataLoader(
        samples,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    with _as_helpers():
        packed = iter(loader)  # starts the workers
    for data in packed:
        yield Sample.unpacked(data, device)


class Pool:
    """The last few samples of the training stream; draws are numbered, and each `reuse`-th brings a new sample.

    Args:
        first: number of the draw that comes next.
    """

    def __init__(
        self, recipe: Recipe, files: tuple[Path, ...], workers: int, device: torch.device, first: int = 0
    ) -> None:
        self._recipe = recipe.optimise
        self._seed = recipe.seed
        made = _ceil(first, self._recipe.reuse)
        oldest = max(made - self._recipe.pool, 0)
        numbers = range(oldest, _ceil(self._recipe.steps * self._recipe.batch, self._recipe.reuse))
        self._stream = stream_samples(Samples(recipe, files, TRAINING), numbers, workers, device)
        self._held: deque[Sample] = deque(maxlen=self._recipe.pool)
        for _ in range(made - oldest):
            self._held.append(next(self._stream))

    def draw(self, number: int) -> Sample:
        """The sample of one draw, augmented; draws are asked for in order."""
        if number % self._recipe.reuse == 0:
            self._held.append(next(self._stream))
        rng = np.random.default_rng((self._seed, DRAWS, number))
        return augmented(self._held[int(rng.integers(len(self._held)))], rng)


def _ceil(count: int, part: int) -> int:
    return -(-count // part)


@contextmanager
def _as_helpers() -> Iterator[None]:
    """Processes that start here use one thread each, do not spin while they wait, and leave Ctrl-C to their parent."""
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    # a signal that is ignored stays so in a new process, from its first instruction on
    in_charge = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_charge else None
    try:
        yield
    finally:
        if in_charge:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

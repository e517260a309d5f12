"""The finished runs of a viewer, to look at again: a list bounded by the memory that it takes. No widgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from hsimisr.physics.types import Estimate
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.presets import PRESETS, preset_of

if TYPE_CHECKING:
    from napari_hsimisr.session import Request

LIMIT = 1 << 30
"""Bytes of results that are kept."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, with all that is needed to show it again."""

    request: Request
    result: Result
    name: str
    finished: datetime = field(default_factory=datetime.now)

    @property
    def number(self) -> int:
        """What it is known by, whatever its name."""
        return self.request.number

    @property
    def settings(self) -> str:
        """The preset that it ran with, and its scale."""
        preset = preset_of(self.result.config)
        return f"{'custom' if preset is None else PRESETS[preset].title}, ×{self.result.estimate.grid.scale}"

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(sum(self.result.diagnostics["timings"].values()))

    @cached_property
    def nbytes(self) -> int:
        """What its images take."""
        images = [image for estimate in (self.result.estimate, self.result.baseline) for image in _images(estimate)]
        return sum({id(image): image.nbytes for image in images}.values())


class History:
    """The runs, the newest last; the newest one always stays.

    Where they take more than `limit` bytes together, the oldest runs on views go first, then the oldest of the others.
    """

    changed = Signal()

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._runs: dict[int, Run] = {}

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def nbytes(self) -> int:
        """What all of them take."""
        return sum(run.nbytes for run in self)

    def find(self, number: int) -> Run | None:
        """A run, or None where it has gone."""
        return self._runs.get(number)

    def add(self, request: Request, result: Result) -> None:
        """Keep a run; older ones may have to go."""
        self._runs[request.number] = Run(request, result, request.what)
        while self.nbytes > self.limit and len(self) > 1:
            *older, _ = self
            oldest = next((run for run in older if run.request.kind == "view"), older[0])
            del self._runs[oldest.number]
        self.changed.emit()

    def rename(self, number: int, name: str) -> None:
        """Call a run something else; an empty name changes nothing."""
        run = self.find(number)
        if run is not None and name.strip():
            self._runs[number] = replace(run, name=name.strip())
        self.changed.emit()

    def delete(self, number: int) -> None:
        """Forget a run."""
        if self._runs.pop(number, None) is not None:
            self.changed.emit()


def _images(estimate: Estimate) -> list[np.ndarray]:
    values = (getattr(estimate, part.name) for part in fields(estimate))
    return [value for value in values if isinstance(value, np.ndarray)]

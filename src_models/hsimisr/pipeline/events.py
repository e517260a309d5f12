"""What a running job tells: one stream of plain events, whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hsimisr.physics.types import Estimate, SceneModel
from hsimisr.pipeline.config import PipelineConfig


@dataclass(frozen=True, eq=False)
class Result:
    """What a job leaves behind.

    Attributes:
        estimate: the refined scene in eigen-images, with variance; bands and error bars are expanded from it.
        baseline: bicubic of the reference frame on the same grid, for comparison.
        scene: motion, PSF, noise, subspace and prior that were found.
        config: every knob of the run.
        diagnostics: timings in seconds, device, view and number of frames used, by name.
    """

    estimate: Estimate
    baseline: Estimate
    scene: SceneModel
    config: PipelineConfig
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    job: int
    stage: str
    step: int
    total: int
    message: str = ""


@dataclass(frozen=True, eq=False)
class Preview:
    """A first or better picture; replaces the one before."""

    job: int
    stage: str
    estimate: Estimate


@dataclass(frozen=True)
class HeldOut:
    """How well a stage predicts frames it has not seen, so far: their mean squared residual over their noise."""

    job: int
    stage: str
    step: int
    seconds: float
    misfit: float


@dataclass(frozen=True, eq=False)
class Finished:
    job: int
    result: Result


@dataclass(frozen=True)
class Failed:
    """The job ended with an error the user can read; `hint` says what to do."""

    job: int
    error: str
    hint: str = ""


@dataclass(frozen=True, eq=False)
class Cancelled:
    """The job was stopped; `estimate` is what was reached, or None."""

    job: int
    estimate: Estimate | None = None


Terminal = Finished | Failed | Cancelled
Event = Progress | Preview | HeldOut | Terminal
Sink = Callable[[Event], None]

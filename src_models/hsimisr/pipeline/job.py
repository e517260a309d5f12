"""A job: which frames, which part of them, which knobs. Plain data that any process can carry out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hsimisr.cube import Cube, CubeSource
from hsimisr.geometry import View
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig

Kind = Literal["view", "region", "cube"]


@dataclass(frozen=True, eq=False)
class Job:
    """One request.

    Attributes:
        number: grows with every request; late results are recognised by it.
        frames: the cubes, or where to open them.
        reference: index of the reference frame.
        view: part of the reference frame to refine, or None for all of it.
        kind: `view` jobs give way to newer view jobs; `region` and `cube` jobs end by cancel alone.
        registration: motion to use as it is, or None to estimate it.
        start: motion from which to estimate it, or None to begin with whole-pixel alignment.
    """

    number: int
    frames: tuple[Cube | CubeSource, ...]
    config: PipelineConfig = field(default_factory=PipelineConfig)
    reference: int = 0
    view: View | None = None
    kind: Kind = "view"
    registration: Registration | None = None
    start: Registration | None = None
    device: str = "auto"
    seed: int = 0

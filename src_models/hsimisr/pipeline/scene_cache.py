"""Scene models of earlier jobs, so that a new view of the same frames under the same settings starts at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.types import Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.identity import identity_of
from hsimisr.pipeline.scene_file import digest

KEPT = 4
Key = tuple[str, int, str, LmmseConfig, tuple[str | None, ...], int]
"""Frames, reference, settings, fit and motions; the rounds in which the prior follows the contrast come last."""


@dataclass
class SceneCache:
    """Keeps the latest few scene models by what they were estimated from."""

    entries: dict[Key, SceneModel] = field(default_factory=dict)

    def find(
        self,
        stack: FrameStack,
        config: PipelineConfig,
        view: View | None,
        known: Registration | None = None,
        start: Registration | None = None,
    ) -> SceneModel | None:
        """A model of these frames under these settings; a provisional one serves views only.

        Args:
            view: what it is wanted for, None for everything.
            known, start: motions that were set, or begun from.
        """
        *about, rounds = key = _key(stack, config, known, start)
        scene = self.entries.get(key)
        if scene is None:
            scene = next((richer for other, richer in self.entries.items() if _serves(other, about, rounds)), None)
            if scene is not None:
                # the levels of the first rounds are the same in both; the error bars were calibrated with all of them
                scene = replace(scene, contrast_levels=scene.contrast_levels[:rounds], bar_scale=None)
        return None if scene is not None and scene.provisional and view is None else scene

    def keep(
        self,
        stack: FrameStack,
        config: PipelineConfig,
        scene: SceneModel,
        known: Registration | None = None,
        start: Registration | None = None,
    ) -> None:
        """Remember a model by what it was estimated from, see `find`."""
        key = _key(stack, config, known, start)
        self.entries.pop(key, None)
        self.entries[key] = scene
        while len(self.entries) > KEPT:
            self.entries.pop(next(iter(self.entries)))


def _key(stack: FrameStack, config: PipelineConfig, known: Registration | None, start: Registration | None) -> Key:
    frames = json.dumps([identity_of(frame) for frame in stack.frames])
    settings = config.model_dump_json(include={"scale", "psf", "noise", "subspace", "register_"})
    motions = tuple(None if given is None else digest(given) for given in (known, start))
    fit = config.lmmse.model_copy(update={"rounds": 0})  # they follow the fit, and change nothing about it
    return frames, stack.reference, settings, fit, motions, config.lmmse.rounds


def _serves(other: Key, about: list[object], rounds: int) -> bool:
    """Whether a model with more rounds than asked for is known of the same frames under the same settings."""
    *known, more = other
    return known == about and more > rounds

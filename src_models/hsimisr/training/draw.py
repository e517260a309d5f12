"""How a sample's frames are taken, drawn at random, and a scene large enough for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from hsimisr.physics.rendering import Kernel
from hsimisr.physics.simulator import TILT
from hsimisr.training.real_scenes import cut, largest_side
from hsimisr.training.recipe import SMALLEST_PATCH, Range, Recipe, SituationRecipe
from hsimisr.training.synthetic_scenes import draw_scene

T = TypeVar("T")
DRAWN = "drawn"


@dataclass(frozen=True)
class Look:
    """How the frames of a sample are taken: the simulator's knobs, what is told of the PSF and of the motion.

    Attributes:
        scene: stem of the file it is of, or `DRAWN`.
        patch: side of the frames, LR pixels.
        registration_error: standard deviation along each axis, LR pixels.
    """

    scene: str
    scale: int
    frames: int
    snr: float
    psf: str
    told_psf: str
    motion: Literal["shift", "affine"]
    max_shift: float
    registration_error: float
    gain_spread: float
    shot: bool
    patch: int

    @property
    def side(self) -> int:
        """Pixels of a square scene that leaves frames of `patch` LR pixels."""
        reach = self.max_shift + Kernel.of(self.psf, self.scale).reach
        if self.motion == "affine":
            # the simulator allows for its tilt by the size of the scene, margins included
            reach = (reach + TILT * self.patch / 2) / (1 - TILT) + 0.5
        margin = max(math.ceil((reach - 0.5) * self.scale + 0.5), 0)
        return self.patch * self.scale + 2 * margin


def draw_look(
    recipe: Recipe, files: tuple[Path, ...], progress: float, rng: np.random.Generator
) -> tuple[Look, npt.NDArray[np.float32]]:
    """How a sample is taken, and its scene ``(B, Y, X)``.

    Args:
        files: cubes that real scenes are cut from.
        progress: how far the run is, 0 to 1: frames grow with it.
    """
    patches = sorted(recipe.situations.patches)
    patch = patches[min(int(progress * len(patches)), len(patches) - 1)]
    look = _draw(recipe.situations, patch, rng)
    bands = recipe.scenes.bands
    if files and rng.random() < recipe.scenes.real:
        path = files[int(rng.integers(len(files)))]
        fitting = _fitted(replace(look, scene=path.stem), largest_side(path), recipe.situations)
        if fitting is not None:
            return fitting, cut(path, fitting.side, bands, rng)
    return look, draw_scene(look.side, int(rng.integers(bands[0], bands[1] + 1)), rng)


def _draw(recipe: SituationRecipe, patch: int, rng: np.random.Generator) -> Look:
    fewest, most = recipe.frames
    kind = _choose(recipe.psf, rng)
    ranges = {"mtf": recipe.mtf, "gauss": recipe.fwhm}
    psf = told = kind
    if kind in ranges:
        value = _within(ranges[kind], rng)
        wrong = np.clip(value * (1 + recipe.psf_error * rng.normal()), *ranges[kind])
        psf, told = f"{kind}:{value:.4f}", f"{kind}:{wrong:.4f}"
    return Look(
        scene=DRAWN,
        scale=_choose(recipe.scales, rng),
        frames=min(int(np.exp(rng.uniform(np.log(fewest), np.log(most + 1)))), most),
        snr=_within(recipe.snr, rng),
        psf=psf,
        told_psf=told,
        motion="affine" if rng.random() < recipe.affine else "shift",
        max_shift=_within(recipe.max_shift, rng),
        registration_error=_within(recipe.registration_error, rng),
        gain_spread=_within(recipe.gain_spread, rng),
        shot=bool(rng.random() < recipe.shot),
        patch=patch,
    )


def _fitted(look: Look, room: int, recipe: SituationRecipe) -> Look | None:
    """The look with pure shifts, smaller frames and smaller shifts where the scene has no room for more."""
    smallest = replace(look, motion="shift", patch=SMALLEST_PATCH, max_shift=recipe.max_shift[0])
    for attempt in (look, replace(look, motion="shift"), replace(look, motion="shift", max_shift=recipe.max_shift[0])):
        patch = attempt.patch
        while patch > SMALLEST_PATCH and replace(attempt, patch=patch).side > room:
            patch -= 4
        fitting = replace(attempt, patch=max(patch, SMALLEST_PATCH))
        if fitting.side <= room:
            return fitting
    return smallest if smallest.side <= room else None


def _choose(weights: dict[T, float], rng: np.random.Generator) -> T:
    values = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(values), p=values / values.sum()))]


def _within(limits: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*limits))

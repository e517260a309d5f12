"""One training sample: a situation as the pipeline meets it, and the truth. Sample n derives from the seed and n."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import MARGIN, View, translation
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import FrameWindow, solve_view
from hsimisr.networks.situation import Situation
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.training.draw import Look, draw_look
from hsimisr.training.recipe import Recipe, SituationRecipe

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Sample:
    """A situation and its truth ``(r, H, W)`` over the view, noise units; `look` tells how it came about."""

    situation: Situation
    truth: torch.Tensor
    look: Look

    @property
    def view(self) -> tuple[slice, slice, slice]:
        """Where the view lies in an image of the canvas."""
        return (slice(None), *self.situation.canvas.view_slices)

    def packed(self) -> bytes:
        """As bytes, to cross from one process to another."""
        buffer = io.BytesIO()
        torch.save(self, buffer)
        return buffer.getvalue()

    @staticmethod
    def unpacked(data: bytes, device: torch.device) -> Sample:
        """From the bytes that `packed` gave in another process of this program, on a device."""
        sample: Sample = torch.load(io.BytesIO(data), map_location=device, weights_only=False)
        return sample


def make_sample(recipe: Recipe, files: tuple[Path, ...], stream: int, n: int) -> Sample:
    """Sample n of a stream.

    Args:
        files: cubes that real scenes are cut from.
        stream: training and validation are streams of their own.
    """
    rng = np.random.default_rng((recipe.seed, stream, n))
    total = recipe.optimise.steps * recipe.optimise.batch // recipe.optimise.reuse
    look, scene = draw_look(recipe, files, n / max(total, 1), rng)
    simulation = simulate(
        scene,
        look.scale,
        look.frames,
        look.psf,
        look.snr,
        look.motion,
        look.max_shift,
        seed=int(rng.integers(2**31)),
        shot=look.shot,
        gain_spread=look.gain_spread,
    )
    known = misregistered(simulation.registration, look.registration_error, rng)
    return observed(simulation, known, look, recipe.situations)


def observed(simulation: Simulation, known: Registration, look: Look, recipe: SituationRecipe) -> Sample:
    """What the pipeline makes of simulated frames, given a registration."""
    rough = LmmseConfig(iterations=recipe.iterations, tolerance=recipe.tolerance)
    stack = FrameStack(tuple(Cube.from_array(f, name=f"frame {k}") for k, f in enumerate(simulation.frames)))
    config = PipelineConfig(scale=look.scale, psf=look.told_psf, invert=rough)
    context = Context(0, CPU, 0, lambda _: None, threading.Event())
    scene = estimate_scene(stack, config, context, known=known)
    view = View.whole(stack.reference_frame.shape_yx)
    window = read_window(stack, scene.subspace.bad, view, MARGIN, scene.registration)
    eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
    found = solve_view(eigen, scene, view, LmmseConfig(), CPU)
    motions = [scene.registration.frames[k] for k in scene.registration.included]
    return Sample(Situation.of(found, motions), torch.from_numpy(scene.subspace.project(simulation.truth)), look)


def misregistered(registration: Registration, deviation: float, rng: np.random.Generator) -> Registration:
    """The registration with errors of a standard deviation along each axis, LR pixels, and error bars to match.

    The error bars are a fifth off themselves, as those that a registration finds are.
    """
    told = max(deviation, 1e-3) * np.exp(rng.normal(0, 0.2, len(registration.frames)))
    frames = [
        replace(
            frame,
            matrix=translation(rng.normal(0, deviation, 2)) @ frame.matrix,
            covariance=np.eye(2) * bar**2,
        )
        if k != registration.reference
        else frame
        for k, (frame, bar) in enumerate(zip(registration.frames, told, strict=True))
    ]
    return Registration(tuple(frames), registration.reference, "known")

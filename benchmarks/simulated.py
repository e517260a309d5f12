"""What the benchmarks on simulated frames share: scenes, stacks, and how an image is scored against the truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from methods import DATA

from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import InvertConfig
from hsimisr.io.open import open_cube
from hsimisr.metrics import evaluate
from hsimisr.physics.types import Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.refinement import Refinement
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene


def scene_files(names: Sequence[str] | None = None) -> list[Path]:
    """The scenes of the data folder with these stems; all without any."""
    return sorted(p for p in (DATA / "scenes").iterdir() if not names or p.stem in names)


def good_bands(path: Path) -> np.ndarray:
    """A scene ``(B, y, x)`` without its bad bands."""
    cube = open_cube(path)
    return cube.read()[cube.good]


def middle(scene: np.ndarray, side: int | None) -> np.ndarray:
    """The middle of a scene ``(B, y, x)``, no larger than `side`; all of it without one."""
    if side is None:
        return scene
    y, x = (max(n - side, 0) // 2 for n in scene.shape[1:])
    return scene[:, y : y + side, x : x + side]


def as_stack(frames: Sequence[np.ndarray]) -> FrameStack:
    """A stack of frames ``(B, h_k, w_k)``; the first is the reference."""
    return FrameStack(tuple(Cube.from_array(f, name=f"frame {k}") for k, f in enumerate(frames)))


def with_motion(stack: FrameStack, config: PipelineConfig, registration: Registration) -> SceneModel:
    """The scene model as the pipeline finds it when it is given the motion."""
    return estimate_scene(stack, config, quiet_context(), known=registration)


def score(
    stack: FrameStack,
    model: SceneModel,
    truth: np.ndarray,
    method: InvertConfig,
    refinement: Refinement | None = None,
) -> dict[str, float]:
    """Scores of a reconstruction against the truth ``(B, s h, s w)``, and the seconds it took."""
    started = time.perf_counter()
    view = View.whole(stack.reference_frame.shape_yx)
    estimate = reconstruct(stack, model, view, method, quiet_context(), refinement=refinement)
    seconds = time.perf_counter() - started
    scores = evaluate(truth, estimate.bands(), model.scale)
    out = scores.summary() | {"seconds": seconds}
    if estimate.variance is not None:
        border = 2 * model.scale
        inner = (slice(None), slice(border, -border), slice(border, -border))
        z = ((estimate.bands() - truth) / estimate.std())[inner]
        out["coverage90"] = float(np.mean(np.abs(z) < 1.6449))
    return out

"""Real camera sequences without truth: how well each method predicts frames that it did not see, and the pictures.

    python benchmarks/sequences.py [--scale 3] [--psf gauss:0.4 gauss:1.0 box mtf:0.5 mtf:0.29] [--out out/sequences]

Every fifth frame is held out: it gives its own motion and nothing else. Each method reconstructs from the rest and is
asked for the held-out frames through the observation model; `chi2` is the mean squared residual over the sensor's
noise variance (smaller is better; compare within a column), `rms` the residual in grey levels. The PSF is unknown, so
several are tried, and the one under which the LMMSE predicts best makes the picture.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from methods import DATA, METHODS
from PIL import Image

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.invert import FrameWindow
from hsimisr.io.open import open_frames
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import lay_out
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import Estimate, FrameMotion, Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import use_available_threads
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.registration.config import GaussNewtonConfig
from hsimisr.registration.register import register_pairs

BORDER = 3
MARGIN = 4
"""LR pixels at the border that the other frames may not cover, and around the canvas."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--psf", nargs="+", default=["gauss:0.4", "gauss:1.0", "box", "mtf:0.5", "mtf:0.29"])
    parser.add_argument("--out", type=Path, default=Path("out/sequences"))
    parser.add_argument("--names", nargs="+", default=["text", "alpaca"])
    options = parser.parse_args()
    use_available_threads()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        stack = open_frames([DATA / "sequences" / f"{name}.mat"], bands_as_frames=True)
        print(f"\n{name}: {len(stack)} frames of {stack.reference_frame.shape_yx}, chi2 (rms in grey levels)")
        print(f"{'psf':>10}" + "".join(f"{method:>16}" for method in METHODS), flush=True)
        scores = {psf: one(stack, options.scale, psf) for psf in options.psf}
        best = min(scores, key=lambda psf: scores[psf]["lmmse"])
        print(f"the LMMSE predicts best with {best}")
        config = PipelineConfig.build(options={"scale": options.scale, "psf": best})
        view = View.whole(stack.reference_frame.shape_yx)
        scene = estimate_scene(stack, config, quiet_context())
        pictures = [
            reconstruct(stack, scene, view, METHODS[m], quiet_context()).bands()[0] for m in ("bicubic", "lmmse")
        ]
        side_by_side = np.clip(np.concatenate(pictures, 1), 0, 255).astype(np.uint8)
        image = Image.fromarray(side_by_side)
        image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST).save(options.out / f"{name}.png")


def one(stack: FrameStack, scale: int, psf: str) -> dict[str, float]:
    """Held-out chi2 of every method under one PSF."""
    config = PipelineConfig.build(options={"scale": scale, "psf": psf})
    held = [k for k in range(len(stack)) if k % 5 == 4 and k != stack.reference]
    rest = [k for k in range(len(stack)) if k not in held]
    seen = FrameStack(tuple(stack.frames[k] for k in rest), rest.index(stack.reference))
    scene = estimate_scene(seen, config, quiet_context())
    motions = held_out_motions(stack, held, scene)
    view = View.whole(stack.reference_frame.shape_yx)
    scores, line = {}, f"{psf:>10}"
    for name, method in METHODS.items():
        estimate = reconstruct(seen, scene, view, method, quiet_context(), with_variance=False, with_residual=False)
        residuals = [residual(estimate, scene, stack, k, motion) for k, motion in motions.items()]
        scores[name] = float(np.mean([(e**2).mean() for e in residuals]))
        line += f"{scores[name]:9.2f} ({scores[name] ** 0.5 * scene.noise[0]:4.2f})"
    print(line, flush=True)
    return scores


def held_out_motions(stack: FrameStack, held: list[int], scene: SceneModel) -> dict[int, FrameMotion]:
    """Motion of each held-out frame against the reference alone; frames that do not belong are left out."""
    images = [scene.subspace.project(stack.frames[k].read()) for k in (stack.reference, *held)]
    masks = [np.ones(image.shape[1:], bool) for image in images]
    window = FrameWindow(images, masks, [(0, 0)] * len(images))
    rigid = "translation" if scene.registration.is_shift else "affine"
    found = register_pairs(window, 0, GaussNewtonConfig(model=rigid)).registration.frames[1:]
    return {k: motion for k, motion in zip(held, found, strict=True) if not motion.excluded}


def residual(estimate: Estimate, scene: SceneModel, stack: FrameStack, k: int, motion: FrameMotion) -> np.ndarray:
    """Prediction less a held-out frame, whitened eigen-images ``(r, n)``, border left out."""
    view = estimate.grid.view
    h, w = view.shape
    canvas = Canvas((-MARGIN, -MARGIN), (h + 2 * MARGIN, w + 2 * MARGIN), scene.scale, view)
    pad = MARGIN * scene.scale
    image = np.pad(estimate.mean, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    frame = scene.subspace.project(stack.frames[k].read())
    registration = Registration((replace(motion, gain=1.0),))
    inner = np.zeros(frame.shape[1:], bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    o = lay_out([frame], [inner], registration, canvas, Psf.parse(scene.psf), torch.device("cpu"))
    predicted = motion.gain * o.operator.forward(canvas.to_spectrum(torch.from_numpy(image)))[0].numpy()
    seen = o.weight[0, 0].numpy() > 0
    seen[: MARGIN + BORDER] = seen[-MARGIN - BORDER :] = False
    seen[:, : MARGIN + BORDER] = seen[:, -MARGIN - BORDER :] = False
    error = predicted - o.data[0].numpy()
    return error[:, seen] - error[:, seen].mean(1, keepdims=True) if motion.gain != 1 else error[:, seen]


if __name__ == "__main__":
    main()

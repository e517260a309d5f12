"""Real camera sequences without truth: how well each method predicts frames that it did not see, and the pictures.

    python benchmarks/sequences.py [--scale 3] [--psf gauss:0.4 gauss:1.0 box mtf:0.5 mtf:0.29] [--model auto]
                                   [--names text alpaca] [--frames N] [--methods NAME ...] [--stages NAME ...]
                                   [--peers NAME ...] [--out out/sequences]

Every fifth frame is held out: it takes part in the registration and gives nothing to the image. Each method
reconstructs from the rest and is asked for the held-out frames through the observation model; `chi2` is the mean
squared residual over the sensor's noise variance (smaller is better). Each cell has two of them. For the first, a
held-out frame lies where the registration of all frames put it. Two aliased frames may differ by what looks like a
motion, though, and the reference's part in that is the same for all frames: a score may then tell more of the held-out
frame's motion than of the estimate. For the second the motion, whatever its kind, is refined as an affine one against
the estimate that is judged, so that estimates compare whose motions differ in kind, or which all frames share. The PSF
is unknown, so several are tried, and the one under which the LMMSE predicts best, by the second score, makes the
picture.

Columns of learned stages begin from the LMMSE: `refiner` with the weights that come along, `adapted` to these frames,
`diffused` after that; once through the gate, which has judges of its own among the frames that are seen, and once (!)
without.

The last columns are the same LMMSE with the motion of other libraries, for the frames it sees and for those held out.
Frames that we leave out are left out for all. The picture shows the estimates of all columns in their order, but ours
at the end. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from methods import DATA, METHODS
from peers import enhanced_correlation, first_images, phase_correlation
from PIL import Image
from simulated import with_motion

from hsimisr.cube import FrameStack
from hsimisr.geometry import View, translation
from hsimisr.inversion.config import InvertConfig
from hsimisr.io.open import open_frames
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.physics.observations import Observations, canvas_offset, lay_out
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import Estimate, FrameMotion, Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import use_available_threads
from hsimisr.pipeline.learned import learned_stage
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.registration.displacement import Polynomial

BORDER = 3
MARGIN = 4
"""LR pixels at the border that the other frames may not cover, and around the canvas."""
EVERY = 5
"""One frame in so many is held out."""
MATCHING_STEPS = 4
PEERS: dict[str, Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]] = {
    "phase": lambda images: [translation(shift) for shift in phase_correlation(images)],
    "ecc": lambda images: list(enhanced_correlation(images, affine=False)),
    "ecc affine": lambda images: list(enhanced_correlation(images, affine=True)),
}
"""Motions ``(3, 3)`` of frames against the first one."""
STAGES: dict[str, tuple[str, ...]] = {
    "refiner": ("refine.method=refiner",),
    "adapted": ("refine.method=refiner", "adapt.method=ttt"),
    "diffused": ("refine.method=refiner", "adapt.method=ttt", "diffuse.method=proximal"),
}
UNGATED = {"refine": "refine.gate=false", "diffuse": "diffuse.gate=false"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--psf", nargs="+", default=["gauss:0.4", "gauss:1.0", "box", "mtf:0.5", "mtf:0.29"])
    parser.add_argument("--model", default="auto", help="kind of motion that we look for")
    parser.add_argument("--out", type=Path, default=Path("out/sequences"))
    parser.add_argument("--names", nargs="+", default=["text", "alpaca"])
    parser.add_argument("--frames", type=int, help="take no more than the first so many")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--stages", nargs="*", default=[], choices=STAGES)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    options = parser.parse_args()
    use_available_threads()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        stack = open_frames([DATA / "sequences" / f"{name}.mat"], bands_as_frames=True)
        stack = FrameStack(stack.frames[: options.frames], stack.reference)
        methods = {each: METHODS[each] for each in dict.fromkeys([*options.methods, "lmmse"])}
        print(f"\n{name}: {len(stack)} frames of {stack.reference_frame.shape_yx}, chi2 by motions of both kinds")
        columns = [*methods, *stage_columns(options.stages), *options.peers]
        print(f"{'psf':>10}{'motion':>12}" + "".join(f"{column:>16}" for column in columns), flush=True)
        results = {}
        for psf in options.psf:
            register = {"method": "joint", "model": options.model}
            config = PipelineConfig.build(options={"scale": options.scale, "psf": psf, "register": register})
            results[psf] = one(stack, config, methods, options.stages, options.peers)
        best = min(results, key=lambda psf: results[psf]["lmmse"][0])
        print(f"the LMMSE predicts best with {best}")
        shown = {column: image for column, (_, image) in results[best].items()}
        save([*(shown[column] for column in columns if column != "lmmse"), shown["lmmse"]], options.out / f"{name}.png")


def stage_columns(stages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Settings of each learned column."""
    columns = {}
    for name in stages:
        settings = STAGES[name]
        open_gates = tuple(UNGATED[stage] for stage in UNGATED if any(each.startswith(stage) for each in settings))
        columns |= {name: settings, name + "!": settings + open_gates}
    return columns


def one(
    stack: FrameStack,
    config: PipelineConfig,
    methods: dict[str, InvertConfig],
    stages: Sequence[str],
    peers: Sequence[str],
) -> dict[str, tuple[float, np.ndarray]]:
    """Every method and stage with our motion, and the LMMSE with every peer's: chi2 by motions matched, first band."""
    ours = estimate_scene(stack, config, quiet_context())
    used = ours.registration.included
    held = [k for k in used if k % EVERY == EVERY - 1 and k != stack.reference]
    rest = [k for k in range(len(stack)) if k not in held]
    seen = FrameStack(tuple(stack.frames[k] for k in rest), rest.index(stack.reference))
    kinds = {ours.registration.frames[k].model for k in used if k != stack.reference}
    print(f"{config.psf:>10}{'+'.join(sorted(kinds)):>12}", end="", flush=True)

    def scene_by(motions: Sequence[FrameMotion]) -> SceneModel:
        known = [replace(motions[k], excluded=k not in used) for k in rest]
        return with_motion(seen, config, Registration(tuple(known), seen.reference))

    found = ours.registration.frames
    scene, asked = scene_by(found), {k: found[k] for k in held}
    results = {name: judged(seen, scene, method, stack, asked) for name, method in methods.items()}
    for name, settings in stage_columns(stages).items():
        learned = PipelineConfig.build(options=config.dump(), sets=list(settings))
        results[name] = judged(seen, scene, METHODS["lmmse"], stack, asked, learned)
    for name, motions in peer_motions(stack, ours, peers).items():
        results[name] = judged(seen, scene_by(motions), METHODS["lmmse"], stack, {k: motions[k] for k in held})
    print(flush=True)
    return results


def judged(
    seen: FrameStack,
    scene: SceneModel,
    method: InvertConfig,
    stack: FrameStack,
    motions: dict[int, FrameMotion],
    learned: PipelineConfig | None = None,
) -> tuple[float, np.ndarray]:
    """One method's held-out chi2 by matched motions, and its first band ``(H, W)``; prints both scores.

    Args:
        learned: names the learned stages that follow.
    """
    view, context = View.whole(seen.reference_frame.shape_yx), quiet_context()
    stage = None if learned is None else learned_stage(seen, scene, view, learned, context)
    refinement = None if stage is None else stage.refinement
    estimate = reconstruct(seen, scene, view, method, context, with_variance=False, refinement=refinement)
    scores = []
    for k, motion in motions.items():
        frame = scene.subspace.project(stack.frames[k].read())
        both = motion, matched(estimate, scene, frame, motion)
        scores.append([residual(estimate, scene, frame, each) for each in both])
    as_found, by_match = np.mean(scores, 0)
    print(f"{as_found:8.2f}{by_match:8.2f}", end="", flush=True)
    return float(by_match), estimate.bands()[0]


def peer_motions(stack: FrameStack, scene: SceneModel, peers: Sequence[str]) -> dict[str, list[FrameMotion]]:
    """Motion of every frame against the reference by each of these peers."""
    images = first_images(stack, scene.subspace)
    order = [stack.reference, *(k for k in range(len(stack)) if k != stack.reference)]
    out = {}
    for name in peers:
        matrices = PEERS[name]([images[k] for k in order])
        kind = "affine" if "affine" in name else "translation"
        found = {k: FrameMotion(matrix, model=kind) for k, matrix in zip(order, matrices, strict=True)}
        out[name] = [found[k] for k in range(len(stack))]
    return out


def matched(estimate: Estimate, scene: SceneModel, frame: np.ndarray, motion: FrameMotion) -> FrameMotion:
    """The affine motion near this one by which the estimate predicts a frame best, by Gauss-Newton."""
    for _ in range(MATCHING_STEPS):
        o, image = laid_out(estimate, scene, frame, motion)
        basis = Polynomial.build("affine", o.canvas.shape, torch.device("cpu"))
        weight = motion.gain * o.weight[:, None]
        slopes, error = o.operator.derivative(image), o.data - motion.gain * o.operator.forward(image)
        pull = basis.transpose((weight * slopes * error[:, None]).sum(2))[0]
        normal = basis.normal(motion.gain * torch.einsum("kachw,kbchw->kabhw", weight * slopes, slopes))[0]
        corner = canvas_offset(motion, o.canvas) + np.asarray(o.canvas.origin)
        motion = basis.compose(motion, (hermitian_inverse(normal) @ pull).numpy(), corner)
    return motion


def residual(estimate: Estimate, scene: SceneModel, frame: np.ndarray, motion: FrameMotion) -> float:
    """Mean squared prediction error of a frame's whitened eigen-images ``(r, h, w)``, border left out."""
    o, image = laid_out(estimate, scene, frame, motion)
    error = (motion.gain * o.operator.forward(image) - o.data)[0].numpy()[:, o.weight[0, 0].numpy() > 0]
    if motion.gain != 1:
        error = error - error.mean(1, keepdims=True)
    return float((error**2).mean())


def laid_out(
    estimate: Estimate, scene: SceneModel, frame: np.ndarray, motion: FrameMotion
) -> tuple[Observations, torch.Tensor]:
    """A frame on the canvas of an estimate, what lies near either border of no weight, and the estimate's spectrum."""
    view = estimate.grid.view
    h, w = view.shape
    canvas = Canvas((-MARGIN, -MARGIN), (h + 2 * MARGIN, w + 2 * MARGIN), scene.scale, view)
    pad = MARGIN * scene.scale
    image = np.pad(estimate.mean, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    inner = np.zeros(frame.shape[1:], bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    registration = Registration((replace(motion, gain=1.0, weight=1.0),))
    o = lay_out([frame], [inner], registration, canvas, Psf.parse(scene.psf), torch.device("cpu"))
    edge = MARGIN + BORDER
    seen = torch.zeros_like(o.weight)
    seen[..., edge:-edge, edge:-edge] = 1.0
    return replace(o, weight=(o.weight > 0) * seen), canvas.to_spectrum(torch.from_numpy(image))


def save(images: Sequence[np.ndarray], file: Path) -> None:
    """Images side by side, every pixel as two by two."""
    gap = np.full((len(images[0]), 4), 255.0)
    row = np.concatenate([part for image in images for part in (image, gap)][:-1], 1)
    picture = Image.fromarray(np.clip(row, 0, 255).astype(np.uint8))
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(file)


if __name__ == "__main__":
    main()

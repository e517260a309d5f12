"""What the learned stage adds on real scenes with simulated frames, motion unknown: refiner and adaptation, by setting.

    python benchmarks/learned.py [--fold-a FILE --fold-b FILE] [--setting NAME ...] [--scenes NAME ...]
                                 [--side PIXELS] [--json FILE]

The weights that come along, which saw no real scene; or those of two folds, split by flight (see the recipes
``refiner-fold-a`` and ``-b``): every scene is refined with those that never saw its flight.
Each learned column is shown ungated and gated, with the gate's mean weight: `refiner` as trained, `ttt` adapted from
there, `zero` adapted from an untrained one. `gain` is the fraction of the achievable gain of the linear estimate and of
gated `ttt` (K = 1 oracle is 0, K-frame oracle 1), for K > 1.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from machine import machine
from methods import METHODS, STATIONARY
from simulated import as_stack, good_bands, middle, scene_files, score

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.cube import FrameStack
from hsimisr.errors import ConfigError
from hsimisr.geometry import MARGIN, View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import FrameWindow
from hsimisr.inversion.oracle import oracle_scene
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.refiner import Refiner
from hsimisr.networks.weights import SHIPPED, load_refiner
from hsimisr.physics.simulator import simulate
from hsimisr.physics.types import Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import choose_device, use_available_threads
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.refinement import PreparedTile, Refinement, adapt_to, prepare, refiner_of
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.stages import RefinerStage
from hsimisr.training.recipe import Recipe


@dataclass(frozen=True)
class Setting:
    """How frames are simulated, and what the solver is told."""

    scale: int
    frames: int
    psf: str
    snr: float
    motion: str = "shift"
    told_psf: str = ""
    shot: bool = False


SETTINGS = {
    "x2-K8": Setting(2, 8, "mtf:0.29", 30.0),
    "x4-K16": Setting(4, 16, "box", 35.0),
    "x4-K6": Setting(4, 6, "mtf:0.29", 30.0),
    "x2-K4-affine": Setting(2, 4, "mtf:0.29", 20.0, "affine"),
    "x2-K2": Setting(2, 2, "mtf:0.29", 30.0),
    "x2-K1": Setting(2, 1, "mtf:0.29", 30.0),
    # what the camera does is 10 % wider than what the solver is told, and its noise is shot noise
    "x2-K8-mismatch": Setting(2, 8, "mtf:0.246", 30.0, told_psf="mtf:0.29", shot=True),
}
STAGES = ("refiner", "ttt", "zero")
NAMES = ("bicubic", "lmmse", *(f"{stage}{kind}" for stage in STAGES for kind in ("", "-gated")), "oracle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_weights(parser)
    parser.add_argument("--setting", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--scenes", nargs="+", help="file stems; all by default")
    parser.add_argument("--side", type=int, help="of the middle that is taken of larger scenes, HR pixels")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--steps", type=int, default=TestTimeTrainingConfig().steps, help="of each adaptation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_available_threads()
    rows = []
    for name in options.setting:
        print(f"\n{name}: {SETTINGS[name]}", flush=True)
        print(f"{'scene (PSNR/SAM)':20}" + "".join(f"{n:>15}" for n in NAMES) + "  gate weights; gain", flush=True)
        found = []
        for path in scene_files(options.scenes):
            try:
                found.append(one(path, name, options))
            except ConfigError as error:  # a scene too small for this setting
                print(f"{path.stem:20} left out: {error}", flush=True)
                continue
            print(line(found[-1]), flush=True)
        rows += found
        print(summary(found), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Options that `unseen` takes the weights from."""
    parser.add_argument("--fold-a", type=Path, default=SHIPPED, help="weights of the recipe refiner-fold-a")
    parser.add_argument("--fold-b", type=Path, default=SHIPPED, help="weights of the recipe refiner-fold-b")


def unseen(stem: str, options: argparse.Namespace) -> Path:
    """The weights that were not trained on a scene."""
    if options.fold_a == options.fold_b == SHIPPED:
        return SHIPPED
    for name, path in {"refiner-fold-a": options.fold_a, "refiner-fold-b": options.fold_b}.items():
        recipe = Recipe.load(name)
        if not any(fnmatch(stem, pattern) for pattern in recipe.scenes.files + recipe.validation.files):
            return path
    raise SystemExit(f"{stem} is trained on in both folds")


def one(path: Path, name: str, options: argparse.Namespace) -> dict:
    """One row: simulate, solve, refine in every way, compare with the truth."""
    setting = SETTINGS[name]
    scene = middle(good_bands(path), options.side)
    room = min(scene.shape[1:]) / setting.scale
    simulation = simulate(
        scene,
        setting.scale,
        setting.frames,
        setting.psf,
        setting.snr,
        setting.motion,
        max_shift=2.0 if room >= 23.5 else 1.5,
        seed=options.seed,
        shot=setting.shot,
    )
    stack = as_stack(simulation.frames)
    config = PipelineConfig(scale=setting.scale, psf=setting.told_psf or setting.psf)
    model = estimate_scene(stack, config, quiet_context())
    row: dict = {"setting": name, "scene": path.stem, "frame": list(simulation.frames.shape[2:])}
    row["bicubic"] = score(stack, model, simulation.truth, METHODS["bicubic"])
    row["lmmse"] = score(stack, model, simulation.truth, LmmseConfig())
    tile = prepared(stack, model)
    trained = load_refiner(unseen(path.stem, options))
    for stage in options.stages:
        refiner, seconds = refiner_for(stage, tile, trained, options)
        for kind, gate in (("", False), ("-gated", True)):
            refinement = by_refiner(refiner, tile, gate=gate)
            found = score(stack, model, simulation.truth, LmmseConfig(), refinement)
            row[stage + kind] = found | {"adapt_s": seconds, "weight": refinement.verdicts[0].gate.mean}
    best = oracle_scene(model, simulation.truth, simulation.registration)
    row["oracle"] = score(stack, best, simulation.truth, STATIONARY)
    if setting.frames > 1:
        single = replace(best, registration=Registration(simulation.registration.frames[:1]))
        row["oracle1"] = score(as_stack(simulation.frames[:1]), single, simulation.truth, STATIONARY)
    return row


def by_refiner(refiner: Refiner, tile: PreparedTile, *, gate: bool) -> Refinement:
    """A refiner as the only learned stage of a tile that is prepared."""
    stage = RefinerStage(refiner, RefinerConfig(gate=gate))
    return Refinement((stage,), prepared={tile.observations.canvas.view: tile})


def prepared(stack: FrameStack, model: SceneModel) -> PreparedTile:
    view = View.whole(stack.reference_frame.shape_yx)
    window = read_window(stack, model.subspace.bad, view, MARGIN, model.registration)
    eigen = FrameWindow(window.project(model.subspace), window.masks, window.starts)
    return prepare(eigen, model, view, LmmseConfig(), RefinerConfig().held_out, choose_device("auto"), lambda _: None)


def refiner_for(stage: str, tile: PreparedTile, trained: Refiner, options: argparse.Namespace) -> tuple[Refiner, float]:
    """A refiner, and the seconds that its adaptation took."""
    device = choose_device("auto")
    config = TestTimeTrainingConfig(steps=options.steps, train="all" if stage == "zero" else "last")
    start = refiner_of(RefinerConfig(weights="untrained"), device, options.seed) if stage == "zero" else trained
    if stage == "refiner":
        return trained.to(device), 0.0
    began = time.perf_counter()
    adapted = adapt_to(tile, start.to(device), config, options.seed, lambda _: None, lambda *_: None)
    return start if adapted is None else adapted.refiner, time.perf_counter() - began


def line(row: dict) -> str:
    columns = "".join(f"{row[n]['psnr']:9.2f}/{row[n]['sam']:5.2f}" if n in row else f"{'':15}" for n in NAMES)
    weights = " ".join(f"{row[s + '-gated']['weight']:.2f}" for s in STAGES if s in row)
    return f"{row['scene'][:20]:20}{columns}  {weights}; {gains(row)}"


def gains(row: dict) -> str:
    """Fractions of the achievable gain, linear and gated `ttt`."""
    if "oracle1" not in row:
        return ""
    low, high = row["oracle1"]["psnr"], row["oracle"]["psnr"]
    return " ".join(f"{(row[n]['psnr'] - low) / (high - low):.2f}" for n in ("lmmse", "ttt-gated") if n in row)


def summary(rows: list[dict]) -> str:
    """Means over scenes: scores, gains over the linear estimate, and the worst that the gate let through."""
    lines = [
        "means: "
        + "  ".join(
            f"{n} {np.mean([r[n]['psnr'] for r in rows]):.2f}/{np.mean([r[n]['sam'] for r in rows]):.2f}"
            for n in NAMES
            if n in rows[0]
        )
    ]
    for n in NAMES[2:-1]:
        if n not in rows[0]:
            continue
        over = np.array([r[n]["psnr"] - r["lmmse"]["psnr"] for r in rows])
        sharper = np.array([r[n]["sam"] - r["lmmse"]["sam"] for r in rows])
        worst = rows[int(over.argmin())]["scene"]
        lines.append(
            f"{n:15} over LMMSE: mean {over.mean():+.3f} dB, best {over.max():+.2f}, worst {over.min():+.2f} "
            f"({worst}); SAM {sharper.mean():+.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

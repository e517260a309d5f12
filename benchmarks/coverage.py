"""How often error bars hold the truth, calibrated and not, and whether what counts as determined is.

    python benchmarks/coverage.py --runs out/calibration.json [--scenes NAME ...] [--scale 2] [--frames 4] [--snr 30]
                                  [--stages NAME ...]

Frames are simulated from real scenes, motion unknown to the solver; `wide` rows tell the solver a PSF that is 20 % too
wide. Every scene is calibrated by a table without its fold of flights (see the recipes ``refiner-fold-a`` and ``-b``),
made of the runs that `benchmarks/calibration.py` keeps.

Learned stages follow the calibrated estimate: `refined` is adapted to the frames, `diffused` comes after it, both
through the gate; `refined!` and `diffused!` are let in whole.

A truth is as noisy as its sensor. Only bands count whose noise is under a third of the error bar; the others are named.
Coverage is the mean over bands and that of the worst. AUSE is the area between the curves of the error left when the
pixels with the largest bars, or those with the largest errors, are taken away, over the error of all. `rho` is the rank
correlation of error and bar, `width` the mean bar over the standard deviation of the truth. `agree` tells how often the
estimate from half the frames lies within its own bar (90 %) of the one from all, in the third of the view that is
determined best and least.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from calibration import fitted
from machine import machine
from scipy.stats import norm, spearmanr
from simulated import as_stack, good_bands, scene_files

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.noise import find_noise
from hsimisr.physics.simulator import simulate
from hsimisr.physics.types import Estimate, Registration, SceneModel
from hsimisr.pipeline.calibration import calibrated
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import use_available_threads
from hsimisr.pipeline.learned import learned_stage
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.training.recipe import Recipe
from hsimisr.uncertainty.widths import Widths

SCENES = ["abu-airport-1", "abu-airport-3", "salinas-a", "abu-urban-1", "jasper-ridge", "pavia-centre"]
TOLD = {"right": "mtf:0.29", "wide": "mtf:0.205"}
LEVELS = (0.5, 0.68, 0.9, 0.95)
NOISY = 1 / 3
"""Noise of the truth over the error bar from which a band does not count."""
REFINED = ("refine.method=refiner", "adapt.method=ttt")
DIFFUSED = (*REFINED, "diffuse.method=proximal")
STAGES = {
    "refined": REFINED,
    "refined!": (*REFINED, "refine.gate=false"),
    "diffused": DIFFUSED,
    "diffused!": (*DIFFUSED, "refine.gate=false", "diffuse.gate=false"),
}
STEPS = 20
"""Of a sparsification curve."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--scenes", nargs="+", default=SCENES, help="file stems")
    parser.add_argument("--told", nargs="+", default=list(TOLD), choices=TOLD, help="PSFs that the solver is told")
    parser.add_argument("--stages", nargs="*", default=[], choices=STAGES, help="learned stages")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--snr", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_available_threads()
    runs = json.loads(options.runs.read_text())
    rows: list[dict] = []
    print(header(), flush=True)
    for told, path in itertools.product(options.told, scene_files(options.scenes)):
        found = one(path, told, unseen_widths(path.stem, runs), options)
        rows += found
        print("\n".join(line(row) for row in found), flush=True)
    print(summary(rows))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def unseen_widths(stem: str, runs: list[dict]) -> Widths:
    """The table of all runs but those of the scene's own fold."""
    for name in ("refiner-fold-a", "refiner-fold-b"):
        recipe = Recipe.load(name)
        own = recipe.scenes.files + recipe.validation.files
        if any(fnmatch(stem, pattern) for pattern in own):
            return Widths.of(fitted([run for run in runs if not any(fnmatch(run["scene"], p) for p in own)]))
    raise SystemExit(f"{stem} is in neither fold")


def one(path: Path, told: str, widths: Widths, options: argparse.Namespace) -> list[dict]:
    """A row for the bars of the posterior, one for calibrated ones, and one for each learned stage."""
    scene = good_bands(path)
    simulation = simulate(scene, options.scale, options.frames, TOLD["right"], options.snr, seed=options.seed)
    stack = as_stack(simulation.frames)
    config, context = PipelineConfig(scale=options.scale, psf=TOLD[told]), quiet_context()
    plain = estimate_scene(stack, config, context)
    noise = find_noise([scene], [np.ones(scene.shape[1:], bool)]).sigma
    model = calibrated(stack, plain, config, context, None, widths)
    estimate = made(stack, plain)
    assert estimate.variance is not None
    widened = replace(estimate, variance=estimate.variance * model.bar_scale[:, None, None] ** 2)
    kinds = {"posterior": estimate, "calibrated": widened}
    for name in options.stages:
        kinds[name] = made(stack, model, PipelineConfig.build(options=config.dump(), sets=list(STAGES[name])))
    rows = []
    for name, bars in kinds.items():
        row = {"scene": path.stem, "told": told, "bars": name, "frame": list(simulation.frames.shape[2:])}
        rows.append(row | scores(bars, simulation.truth, noise))
    rows[1] |= {"bar_scale": model.bar_scale.tolist()} | halves(stack, model, widened)
    return rows


def made(stack: FrameStack, model: SceneModel, learned: PipelineConfig | None = None) -> Estimate:
    """The estimate of the whole view; `learned` names stages that follow the inversion."""
    view, context = View.whole(stack.reference_frame.shape_yx), quiet_context()
    stage = None if learned is None else learned_stage(stack, model, view, learned, context)
    refinement = None if stage is None else stage.refinement
    return reconstruct(stack, model, view, LmmseConfig(), context, refinement=refinement)


def scores(estimate: Estimate, truth: np.ndarray, noise: np.ndarray) -> dict:
    """Everything that tells whether the bars of an estimate hold, over the view less its border."""
    border = 2 * estimate.grid.scale
    inner = (slice(None), slice(border, -border), slice(border, -border))
    bar, error = estimate.std()[inner], np.abs(estimate.bands() - truth)[inner]
    counts = noise < NOISY * np.sqrt((bar**2).mean((1, 2)))
    bar, error, z = bar[counts], error[counts], error[counts] / bar[counts]
    return {
        "rms": float(np.sqrt(np.mean(z**2))),
        "counted": int(counts.sum()),
        "too_noisy": np.flatnonzero(~counts).tolist(),
        "coverage": {level: spread_of((z < norm.ppf((1 + level) / 2)).mean((1, 2))) for level in LEVELS},
        "ause": float(np.mean([ause(*band) for band in zip(error, bar, strict=True)])),
        "spearman": float(np.mean([spearmanr(e.ravel(), b.ravel())[0] for e, b in zip(error, bar, strict=True)])),
        "width": float((bar.mean((1, 2)) / truth[inner][counts].std((1, 2))).mean()),
    }


def spread_of(bands: np.ndarray) -> list[float]:
    return [float(bands.mean()), float(bands.min())]


def ause(error: np.ndarray, bar: np.ndarray) -> float:
    """Area between the sparsification curve of the bar and that of the error itself, over the error of all pixels."""
    curves = []
    for by in (bar, error):
        squares = error.ravel()[np.argsort(by.ravel())] ** 2
        kept = (len(squares) * (1 - np.arange(STEPS) / STEPS)).astype(int)
        curves.append(np.sqrt(np.cumsum(squares)[kept - 1] / kept))
    return float((curves[0] - curves[1]).mean() / curves[0][0])


def halves(stack: FrameStack, model: SceneModel, estimate: Estimate) -> dict:
    """What half the frames determine, and how often their estimate lies within its bar of the one from all."""
    frames = model.registration.frames
    kept = [replace(f, excluded=f.excluded or k >= (len(frames) + 1) // 2) for k, f in enumerate(frames)]
    half = made(stack, replace(model, registration=Registration(tuple(kept), model.registration.reference)))
    within = (np.abs(half.bands() - estimate.bands()) < norm.ppf(0.95) * half.std()).mean(0)
    s = estimate.grid.scale
    share = np.kron(half.determined, np.ones((s, s)))
    low, high = np.quantile(half.determined, [1 / 3, 2 / 3])
    return {
        "determined": float(estimate.determined.mean()),
        "determined_by_half": float(half.determined.mean()),
        "agree": [float(within[share >= high].mean()), float(within[share <= low].mean())],
    }


def header() -> str:
    levels = "".join(f"{level:>13.0%}" for level in LEVELS)
    rest = f"{'AUSE':>7}{'rho':>6}{'width':>7}{'bands':>9}{'determined':>12}{'agree':>12}"
    return f"{'scene, PSF told, bars':42}{levels}{rest}"


def line(row: dict) -> str:
    levels = "".join(f"{mean:7.3f} {worst:5.2f}" for mean, worst in row["coverage"].values())
    bands = f"{row['counted']}/{row['counted'] + len(row['too_noisy'])}"
    text = (
        f"{', '.join((row['scene'], row['told'], row['bars'])):42}{levels}{row['ause']:7.3f}{row['spearman']:6.2f}"
        f"{row['width']:7.3f}{bands:>9}"
    )
    if "agree" not in row:
        return text
    shares, agree = (row["determined"], row["determined_by_half"]), row["agree"]
    return text + f"{shares[0]:7.2f}{shares[1]:5.2f}{agree[0]:7.2f}{agree[1]:5.2f}"


def summary(rows: list[dict]) -> str:
    """Means over scenes, how far scenes are apart, and the worst band of all."""
    lines = []
    for told, bars in dict.fromkeys((row["told"], row["bars"]) for row in rows):
        at = np.array([row["coverage"][0.9] for row in rows if (row["told"], row["bars"]) == (told, bars)])
        lines.append(
            f"{told} PSF, {bars}: 90 % intervals hold {at[:, 0].mean():.3f}, scenes {at[:, 0].min():.3f} to "
            f"{at[:, 0].max():.3f}, worst band {at[:, 1].min():.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

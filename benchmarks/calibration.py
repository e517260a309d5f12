"""How wide error bars have to be to hold: makes the table that comes along, from scenes whose truth is known.

    python benchmarks/calibration.py [--runs out/calibration.json] [--without PATTERN ...] [--out FILE] [--each 2]

Each stratum of scale, frames and SNR sees a few of the scenes, real and drawn in turns, motion unknown to the solver.
Runs are kept in a file as they are made, and are not made again: a table without some flights, to be tested on them, is
made of the others' runs at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from simulated import as_stack, good_bands, scene_files

from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.heldout.blocks import CLEAR
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.calibration import tell
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.training.synthetic_scenes import draw_scene
from hsimisr.uncertainty.widths import SHIPPED

SCALES, FRAMES, SNRS = (2, 3, 4), (1, 2, 4, 8, 16), (20.0, 30.0, 40.0)
SIDE, SHIFT = 24, 1.0
"""LR pixels of a frame, and its largest shift."""
DRAWN, BANDS = 6, 60
"""How many scenes are drawn, and their bands."""
TILE = 8
"""LR pixels along a side of a tile; a tile is what counts as one."""
LEVEL, INTERVAL = 0.9, 1.6449
FEW = 4
"""Frames up to which what a held-out one tells is taken together; from more, less can be told."""
RIDGE = 4.0
"""Runs that a slope of zero is worth in the regression."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("out/calibration.json"))
    parser.add_argument("--without", nargs="*", default=[], help="patterns of scenes to leave out of the table")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--each", type=int, default=2, help="scenes in each stratum; one less of many frames")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = gather(options.runs, options.each)
    used = [run for run in runs if not any(fnmatch(run["scene"], pattern) for pattern in options.without)]
    table = fitted(used)
    about = {"made by": "benchmarks/calibration.py", "scenes": sorted({run["scene"] for run in used})}
    options.out.write_text(json.dumps(about | table, indent=1) + "\n", encoding="utf-8")
    show(used, table)


def gather(path: Path, each: int) -> list[dict]:
    """So many runs of each stratum, one less of many frames, and what else the file holds; scenes take turns."""
    runs = json.loads(path.read_text()) if path.exists() else []
    names = sorted(file.stem for file in scene_files())
    names = [name for n, real in enumerate(names) for name in (real, f"drawn-{n % DRAWN}")]
    turn, started = len(runs), time.process_time()
    for scale, frames, snr in itertools.product(SCALES, FRAMES, SNRS):
        done = sum((run["scale"], run["frames"], run["snr"]) == (scale, frames, snr) for run in runs)
        while done < each - (frames == FRAMES[-1]):
            name, turn = names[turn % len(names)], turn + 1
            try:
                runs.append(one(name, scale, frames, snr, seed=turn))
            except ConfigError as error:  # a scene too small for this scale
                print(f"{name} at x{scale}: {error}", flush=True)
                continue
            done += 1
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(runs))
            print(f"{name:20} x{scale} K={frames} SNR {snr:.0f}  {time.process_time() - started:.0f} s", flush=True)
    return runs


def one(name: str, scale: int, frames: int, snr: float, seed: int) -> dict:
    """Errors of the estimate over their bars, and what a held-out frame said of them."""
    scene = scene_of(name, scale, seed)
    simulation = simulate(scene, scale, frames, "mtf:0.29", snr, max_shift=SHIFT, seed=seed)
    stack, config = as_stack(simulation.frames), PipelineConfig(scale=scale, psf="mtf:0.29")
    context = quiet_context("cpu")
    model = estimate_scene(stack, config, context)
    view = View.whole(stack.reference_frame.shape_yx)
    estimate = reconstruct(stack, model, view, LmmseConfig(), context, with_residual=False)
    told = tell(stack, model, view, LmmseConfig(), context) if frames > 1 else None
    error = np.abs(estimate.mean - model.subspace.project(simulation.truth)) / np.sqrt(estimate.variance)
    border, rank = 2 * scale, len(error)
    inner = error[:, border:-border, border:-border] / INTERVAL
    power = estimate.variance.mean((1, 2))
    return {
        "scene": name,
        "scale": scale,
        "frames": frames,
        "snr": snr,
        # each eigen-image counts by its part of the bars of the bands, in noise units
        "weight": (power / power.sum()).tolist(),
        "believed": [0.0] * rank if told is None else told.believed.tolist(),
        "tiles": [np.quantile(tile.reshape(rank, -1), QUANTILES, axis=1).T.tolist() for tile in tiles(inner, scale)],
    }


QUANTILES = np.arange(0.02, 1, 0.04)
"""A tile's errors are kept as these quantiles."""


def tiles(images: np.ndarray, scale: int) -> list[np.ndarray]:
    side = TILE * scale
    starts = ([n * side for n in range(max(size // side, 1))] for size in images.shape[1:])
    return [images[:, y : y + side, x : x + side] for y, x in itertools.product(*starts)]


def scene_of(name: str, scale: int, seed: int) -> np.ndarray:
    """A part ``(B, y, x)`` of a scene, just large enough."""
    side = (SIDE + 7) * scale
    if name.startswith("drawn"):
        return draw_scene(side, BANDS, np.random.default_rng(int(name.removeprefix("drawn-"))))
    scene = good_bands(scene_files([name])[0])
    rng = np.random.default_rng(seed)
    y, x = (int(rng.integers(0, max(size - side, 0) + 1)) for size in scene.shape[1:])
    return scene[:, y : y + side, x : x + side]


def fitted(runs: list[dict]) -> dict:
    """The table: regression of log variances on strata and on what held-out frames told, then conformal."""
    wanted = np.concatenate([ratios(run) for run in runs])
    weight = np.concatenate([run["weight"] for run in runs])
    believed = np.concatenate([run["believed"] for run in runs])
    frames = np.concatenate([np.full(len(run["weight"]), run["frames"]) for run in runs])
    scales = np.concatenate([np.full(len(run["weight"]), run["scale"]) for run in runs])
    slope = {
        (s, k): slope_of(wanted, believed, weight, (scales == s) & (frames > 1) & ((frames <= FEW) == (k <= FEW)))
        for s, k in itertools.product(SCALES, FRAMES)
    }
    slope |= {(s, 1): 0.0 for s in SCALES}  # nothing to hold out
    strata = np.array([features(run["scale"], run["frames"], run["snr"]) for run in runs])
    slopes = np.array([slope[run["scale"], run["frames"]] for run in runs])
    # what a run of a stratum wants, given what was told: its weighted quantile once the told part is taken out
    levels = [
        np.log(quantile(run, LEVEL, s * np.array(run["believed"])) ** 2) for run, s in zip(runs, slopes, strict=True)
    ]
    gram = strata.T @ strata + np.diag([0.0] + [1.0] * (strata.shape[1] - 1))
    coefficients = np.linalg.solve(gram, strata.T @ np.array(levels))
    # the mean of logarithms is not what covers: one last factor for all
    rest = [strata[n] @ coefficients + slopes[n] * np.array(run["believed"]) for n, run in enumerate(runs)]
    shift = np.log(pooled(runs, rest, LEVEL) ** 2)
    table = np.zeros((len(SCALES), len(FRAMES), len(SNRS)))
    for (i, s), (j, k), (n, snr) in itertools.product(enumerate(SCALES), enumerate(FRAMES), enumerate(SNRS)):
        table[i, j, n] = features(s, k, snr) @ coefficients + shift
    told = np.array([[[slope[s, k]] * len(SNRS) for k in FRAMES] for s in SCALES])
    return {
        "scales": SCALES,
        "frames": FRAMES,
        "snrs": SNRS,
        "log_variance": np.round(table, 4).tolist(),
        "slope": np.round(told, 4).tolist(),
    }


def features(scale: int, frames: int, snr: float) -> np.ndarray:
    """What the width may depend on: a level for each scale, number of frames, SNR, and SNR where frames are many."""
    k, db = np.log2(frames) / 4 - 0.5, (snr - 30) / 10
    return np.array([1.0, *(scale == s for s in SCALES[1:]), k, k**2, db, db * k])


def slope_of(wanted: np.ndarray, believed: np.ndarray, weight: np.ndarray, which: np.ndarray) -> float:
    """Weighted regression slope over some of the eigen-images, towards 0 where there is little to go by.

    0 where it is not clear of it: frames are then not held out for nothing.
    """
    x, y, w = believed[which], wanted[which], weight[which]
    if not x.any():
        return 0.0
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    ridge = RIDGE * np.average(x**2, weights=w)
    slope = float((w * x * y).sum() / ((w * x**2).sum() + ridge))
    stderr = float(np.sqrt(np.average((y - slope * x) ** 2, weights=w) / (w * x**2).sum()))
    return slope if slope > CLEAR * stderr else 0.0


def ratios(run: dict) -> np.ndarray:
    """Logarithm of what the variance of each eigen-image should have been multiplied by ``(r,)``."""
    values = np.array(run["tiles"])  # (tiles, r, quantiles)
    return np.array([2 * np.log(max(np.quantile(image, LEVEL), 1e-3)) for image in values.transpose(1, 0, 2)])


def quantile(run: dict, level: float, log_variance: np.ndarray) -> float:
    return pooled([run], [log_variance], level)


def pooled(runs: list[dict], log_variances: list[np.ndarray], level: float) -> float:
    """Quantile of errors over widened bars, each tile counting as one and eigen-images by their weight."""
    values, weights = [], []
    for run, log_variance in zip(runs, log_variances, strict=True):
        error = np.array(run["tiles"]) / np.exp(log_variance / 2)[:, None]
        values.append(error.ravel())
        weights.append(np.broadcast_to(np.array(run["weight"])[:, None] / len(error), error.shape).ravel())
    value, weight = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(value)
    place = np.cumsum(weight[order]) / weight.sum()
    return float(value[order][np.searchsorted(place, level)])


def show(runs: list[dict], table: dict) -> None:
    """Factors on the standard deviation by stratum, and what coverage the runs have with and without them."""
    factor = np.exp(np.array(table["log_variance"]) / 2)
    for i, scale in enumerate(SCALES):
        print(f"x{scale}  factor on the bars at SNR {SNRS}; slope")
        for j, frames in enumerate(FRAMES):
            print(
                f"  K={frames:2d} " + " ".join(f"{f:5.2f}" for f in factor[i, j]) + f"  {table['slope'][i][j][0]:.2f}"
            )
    plain, wide = [], []
    for run in runs:
        i, j, n = SCALES.index(run["scale"]), FRAMES.index(run["frames"]), SNRS.index(run["snr"])
        given = table["log_variance"][i][j][n] + table["slope"][i][j][n] * np.array(run["believed"])
        plain.append(share_within(run, 0 * given))
        wide.append(share_within(run, given))
    for name, shares in (("plain", plain), ("calibrated", wide)):
        print(
            f"{name}: runs cover {np.mean(shares):.3f} on average, {np.std(shares):.3f} apart, {min(shares):.2f} least"
        )


def share_within(run: dict, log_variance: np.ndarray) -> float:
    error = np.array(run["tiles"]) / np.exp(log_variance / 2)[:, None]
    return float(np.average((error < 1).mean((0, 2)), weights=run["weight"]))


if __name__ == "__main__":
    main()

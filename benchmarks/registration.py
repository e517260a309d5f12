"""Accuracy of the motion on real scenes with simulated frames, beside other libraries and the bounds.

    python benchmarks/registration.py [--rows NAME ...] [--scenes NAME ...] [--seeds 5] [--psnr] [--json FILE]

The error of a frame is the root mean square, over the reference's pixels that the frame shows, of the distance in LR
pixels between where the pixel was found and where it is. Each row gives the median, the 90th percentile and the worst
over all frames but the reference, all scenes and all seeds; frames that were wrongly excluded count with the motion
found for them, and a run that ends in an error counts as infinitely wrong.

The bounds are the Cramer-Rao bounds with the scene known and unknown, from the truth and its power spectrum. For
affine motion they are those of the shift times sqrt(3), six parameters for two, as if detail were spread evenly. They
bound the root mean square; the median error of a shift that reaches them is 0.83 of it. `nees` is the squared error
over the reported covariance, 2 on average (1.4 in the median) where the covariance is right. The peers are given the
first eigen-image; our time covers noise, subspace and power spectrum too. Times are ratios within one run and decide
nothing. Optical flow takes part where frames bend locally, at the end of the line. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from machine import machine
from methods import METHODS
from motion_cases import ROWS, Case, Row, make_case
from peers import FLOWS, enhanced_correlation, first_images, optical_flow, phase_correlation
from simulated import as_stack, scene_files, score, with_motion

from hsimisr.cube import FrameStack
from hsimisr.errors import ConfigError, HsimisrError
from hsimisr.geometry import translation
from hsimisr.inversion.oracle import oracle_scene
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import use_available_threads
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.registration.bounds import known_scene_bound, unknown_scene_bound

QUICK = ["abu-urban-1", "cave-feathers", "pavia-centre"]
FOUND = ("ours", "phase", "ecc")
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--scenes", nargs="+", help="file stems; all by default")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, from 0 on")
    parser.add_argument("--quick", action="store_true", help=f"one seed of {', '.join(QUICK)}")
    parser.add_argument("--psnr", action="store_true", help="what the found motion costs the LMMSE, dB")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_available_threads()
    files = scene_files(QUICK if options.quick else options.scenes)
    seeds = 1 if options.quick else options.seeds
    everything = scene_files()
    results = []
    print(header(), flush=True)
    for name in options.rows:
        runs: list[dict] = []
        small = set()
        for path in files:
            other = everything[(everything.index(path) + 1) % len(everything)]
            for seed in range(seeds):
                try:
                    case = make_case(ROWS[name], path, other, seed)
                except ConfigError:
                    small.add(path.stem)
                    continue
                runs.append({"scene": path.stem, "seed": seed} | one(ROWS[name], case, options.psnr))
        results.append({"row": name, "too_small": sorted(small), "runs": runs})
        if runs:
            results[-1] |= summary(ROWS[name], runs)
        print(line(name, results[-1]), flush=True)
    if options.json:
        about = {"machine": machine(), "settings": {name: asdict(ROWS[name]) for name in options.rows}}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(about | {"rows": results}, indent=1))


def one(row: Row, case: Case, with_psnr: bool) -> dict[str, object]:
    """Register one stack by all methods; errors are per frame that shows the scene, the reference left out."""
    stack = as_stack(case.frames)
    config = PipelineConfig.build(options={"scale": row.scale, "psf": row.psf} | row.options)
    shown = [k for k in case.motion.included if k != case.motion.reference]
    try:
        model, seconds = timed(lambda: estimate_scene(stack, config, quiet_context()))
    except HsimisrError as error:
        return {"failed": str(error), "ours": [np.inf] * len(shown)}
    found = model.registration.frames
    images = first_images(stack, model.subspace)
    shifts, phase_seconds = timed(lambda: phase_correlation(images))
    warps, ecc_seconds = timed(lambda: enhanced_correlation(images, row.motion != "shift"))
    motions: dict[str, Sequence[FrameMotion]] = {
        "ours": found,
        "phase": [FrameMotion(translation(shift)) for shift in shifts],
        "ecc": [FrameMotion(warp) for warp in warps],
    }
    if row.motion == "local":
        motions |= {name: optical_flow(images, flow) for name, flow in FLOWS.items()}
    shape = stack.reference_frame.shape_yx
    truth = case.motion.frames
    run: dict[str, object] = {
        name: [grid_error(by[k], truth[k], shape, stack.frames[k].shape_yx) for k in shown]
        for name, by in motions.items()
    }
    run |= {"seconds": seconds, "phase_seconds": phase_seconds, "ecc_seconds": ecc_seconds}
    run["excluded"] = [found[k].reason for k in shown if found[k].excluded]
    foreign = [k for k, motion in enumerate(truth) if motion.excluded]
    run["foreign_kept"] = [k for k in foreign if not (found[k].excluded and found[k].reason)]
    if row.parameters is not None:
        run |= bounds(row.parameters, case, model, shown)
    if row.motion == "shift":
        run["nees"] = [nees(found[k], truth[k]) for k in shown if np.trace(found[k].covariance) > 0]
    if with_psnr:
        run["psnr_change"] = psnr_change(stack, case, config, model)
    return run


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def grid_error(found: FrameMotion, truth: FrameMotion, shape: tuple[int, int], frame_shape: tuple[int, int]) -> float:
    """RMSE in LR pixels over the reference's pixels whose true place lies in the frame."""
    pixels = np.moveaxis(np.indices(shape), 0, -1)
    place = forward_motion(truth, pixels)
    shown = ((place >= -0.5) & (place <= np.asarray(frame_shape) - 0.5)).all(-1)
    apart = forward_motion(found, pixels)[shown] - place[shown]
    return float(np.sqrt((apart**2).sum(-1).mean()))


def bounds(parameters: int, case: Case, model: SceneModel, shown: list[int]) -> dict[str, list[float]]:
    """Bounds on each frame's error, LR pixels, under the truth's power spectrum and the sensor's true noise."""
    subspace = model.subspace
    good = ~subspace.bad
    scene = oracle_scene(model, case.truth, case.motion)
    noise = ((subspace.vectors[good] / subspace.sigma[good, None]) ** 2).T @ case.sigma[good] ** 2
    scene = replace(scene, misfit=np.tile(noise, (len(case.frames), 1)))
    shape = case.frames[0].shape[1], case.frames[0].shape[2]
    found = {
        "known": known_scene_bound(scene, subspace.project(case.truth)),
        "unknown": unknown_scene_bound(scene, shape),
    }
    rise = parameters / 2  # the mean variance of a fit over its own pixels grows with its parameters
    return {name: [float(np.sqrt(rise * np.trace(by[k]))) for k in shown] for name, by in found.items()}


def nees(found: FrameMotion, truth: FrameMotion) -> float:
    """Squared error of a shift over its covariance."""
    apart = found.shift - truth.shift
    return float(apart @ np.linalg.solve(found.covariance, apart))


def psnr_change(stack: FrameStack, case: Case, config: PipelineConfig, model: SceneModel) -> float:
    """PSNR of the LMMSE with the motion found, less that with the true motion, dB."""
    known = with_motion(stack, config, case.motion)
    found, best = (score(stack, scene, case.truth, METHODS["lmmse"])["psnr"] for scene in (model, known))
    return found - best


def summary(row: Row, runs: list[dict]) -> dict[str, object]:
    """Quantiles over frames, scenes and seeds, and whether the targets hold."""

    def pooled(name: str) -> list[float]:
        return [value for run in runs for value in run.get(name, [])]

    out: dict[str, object] = {"stacks": len(runs), "frames": len(pooled("ours"))}
    for name in (*FOUND, *FLOWS):
        values = pooled(name)
        if values:
            out[name] = {"median": np.median(values), "p90": np.quantile(values, 0.9), "worst": max(values)}
    out |= {name: np.median(pooled(name)) for name in ("known", "unknown") if pooled(name)}
    if pooled("nees"):
        out["nees"] = {"median": np.median(pooled("nees")), "mean": np.mean(pooled("nees"))}
    for peer in ("phase", "ecc"):
        ratios = [run["seconds"] / run[f"{peer}_seconds"] for run in runs if "seconds" in run]
        if ratios:
            out[f"time_over_{peer}"] = np.median(ratios)
    if any("psnr_change" in run for run in runs):
        out["psnr_change"] = np.median([run["psnr_change"] for run in runs if "psnr_change" in run])
    out["excluded"] = len(pooled("excluded"))
    out["foreign_kept"] = len(pooled("foreign_kept"))
    out["failed"] = sum("failed" in run for run in runs)
    ours = pooled("ours")
    near = np.median(ours) <= row.median and (row.worst is None or max(ours) <= row.worst)
    out["met"] = bool(near and not out["foreign_kept"])
    return out


def header() -> str:
    columns = "".join(f"{f'{name} med/p90/worst':>24}" for name in FOUND)
    return (
        f"{'row':11}{'stacks':>7}{columns}{'known':>8}{'unknown':>8}{'nees med/mean':>16}{'excluded':>9}"
        f"{'time/phase':>11}{'time/ecc':>9}  target"
    )


def line(name: str, result: dict) -> str:
    """One row of the table; what is excluded is a good frame."""
    if not result["runs"]:
        return f"{name:11} every scene is too small"
    columns = "".join(f"{quantiles(result.get(by)):>24}" for by in FOUND)
    ends = "".join(f"{result[by]:8.4f}" if by in result else f"{'-':>8}" for by in ("known", "unknown"))
    spread = result.get("nees")
    trust = f"{spread['median']:.1f}/{spread['mean']:.1f}" if spread else "-"
    times = "".join(
        f"{result[key]:{width}.1f}" if key in result else f"{'-':>{width}}"
        for key, width in (("time_over_phase", 11), ("time_over_ecc", 9))
    )
    row = ROWS[name]
    target = f"median <= {row.median}" + (f", worst <= {row.worst}" if row.worst is not None else "")
    notes = [f"target {'met' if result['met'] else 'missed'} ({target})"]
    notes += [f"{result['foreign_kept']} foreign frames kept"] if result["foreign_kept"] else []
    notes += [f"{result['failed']} stacks failed: {first_failure(result['runs'])}"] if result["failed"] else []
    notes += [f"{by} {quantiles(result[by])}" for by in FLOWS if by in result]
    notes += [f"motion costs {-result['psnr_change']:.2f} dB"] if "psnr_change" in result else []
    notes += [f"too small: {', '.join(result['too_small'])}"] if result["too_small"] else []
    return f"{name:11}{result['stacks']:7d}{columns}{ends}{trust:>16}{result['excluded']:9d}{times}  " + "; ".join(
        notes
    )


def first_failure(runs: list[dict]) -> str:
    return next(run["failed"] for run in runs if "failed" in run)


def quantiles(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['median']:.4f}/{found['p90']:.4f}/{found['worst']:.3f}"


if __name__ == "__main__":
    main()

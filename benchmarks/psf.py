"""The PSF and the noise found from the frames of real scenes, simulated with known ones.

    python benchmarks/psf.py [--rows NAME ...] [--scenes NAME ...] [--seeds 1] [--known] [--json FILE]

Everything is found from the frames alone: noise, subspace and motion, then the PSF (`--known` gives the true motion).
`width` is the full width at half maximum, of an elongated PSF the geometric mean of both axes; `error` is found over
true less 1, `claimed` the standard error over the true width, and `z` the root mean square of error over standard
error, 1 where it is right. The FWHM hardly feels a slight blur of the box, so `rms width` gives the error of the root
of the second moment too, which feels it most. `noise` is the median over bands of the error of the noise, sign dropped.
`in 10 %` is the share of stacks whose width is found within 10 %; the target is met where the median stack's is, and
every stack's noise within 5 %. The spectrum that scenes are taken to have was fitted to these scenes.

The scenes are blurred themselves by the sensors that took them, some more than the estimate takes scenes to be: part
of an error towards wider is true.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine
from simulated import good_bands, scene_files

from hsimisr.errors import ConfigError
from hsimisr.inversion.invert import FrameWindow
from hsimisr.physics.noise import estimate_noise
from hsimisr.physics.psf import Psf
from hsimisr.physics.simulator import simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.pipeline.device import use_available_threads
from hsimisr.registration.config import GaussNewtonConfig
from hsimisr.registration.psf_estimate import estimate_psf
from hsimisr.registration.psf_width import fwhm
from hsimisr.registration.register import register_pairs

TARGET = 0.1
NOISE_TARGET = 0.05
BOX_VARIANCE = 1 / 12
LARGEST = 256
"""Pixels of a scene that are used along each axis: the estimate looks at fewer."""


@dataclass(frozen=True)
class Row:
    scale: int
    frames: int
    psf: str
    snr: float


ROWS = {f"x2 {psf}": Row(2, 8, psf, 30.0) for psf in ("box", "mtf:0.45", "mtf:0.29", "mtf:0.2", "gauss:1.0")} | {
    "x2 K=4": Row(2, 4, "mtf:0.29", 30.0),
    "x2 two axes": Row(2, 8, "mtf:0.1,0.5,30", 30.0),
    "x4 box": Row(4, 16, "box", 35.0),
    "x4 mtf:0.29": Row(4, 16, "mtf:0.29", 35.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--scenes", nargs="+", help="file stems; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0 on")
    parser.add_argument("--known", action="store_true", help="give the true motion")
    parser.add_argument("--each", action="store_true", help="a line for each scene too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_available_threads()
    results = []
    print(
        f"{'row':12}{'stacks':>7}{'true':>7}{'bias':>8}{'median':>8}{'worst':>8}  {'(scene)':20}{'in 10 %':>8}"
        f"{'claimed':>9}{'z':>6}{'two axes':>9}{'rms width':>10}{'noise':>8}{'worst':>7}{'seconds':>9}"
    )
    for name in options.rows:
        runs, small = [], set()
        for path in scene_files(options.scenes):
            for seed in range(options.seeds):
                try:
                    runs.append(one(ROWS[name], path, seed, options.known))
                except ConfigError:
                    small.add(path.stem)
                    continue
                if options.each:
                    print(f"  {path.stem:20}{runs[-1]['spec']:>22}{runs[-1]['error']:+8.3f}", flush=True)
        results.append({"row": name, "too_small": sorted(small), "runs": runs})
        print(line(name, runs, small), flush=True)
    if options.json:
        about = {"machine": machine(), "settings": {name: asdict(ROWS[name]) for name in options.rows}}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(about | {"rows": results}, indent=1))


def one(row: Row, path: Path, seed: int, known: bool) -> dict:
    """Find noise and PSF of one stack."""
    scene = good_bands(path)[:, :LARGEST, :LARGEST]
    simulation = simulate(scene, row.scale, row.frames, row.psf, row.snr, seed=seed)
    frames = list(simulation.frames)
    masks = [np.ones(frame.shape[1:], bool) for frame in frames]
    sigma = estimate_noise(frames, masks)
    subspace = estimate_subspace(frames, masks, sigma, np.zeros(len(sigma), bool))
    images = [subspace.project(frame) for frame in frames]
    registration = simulation.registration
    if not known:
        window = FrameWindow(images, masks, [(0, 0)] * len(frames))
        registration = register_pairs(window, 0, GaussNewtonConfig()).registration
    started = time.perf_counter()
    found = estimate_psf(images, masks, registration, row.scale, torch.device("cpu"))
    seconds = time.perf_counter() - started
    true = math.sqrt(math.prod(fwhm(row.psf)[:2]))
    return {
        "scene": path.stem,
        "seed": seed,
        "spec": found.spec,
        "fwhm": found.fwhm,
        "angle": found.angle,
        "stderr": found.stderr,
        "true": true,
        "error": math.sqrt(math.prod(found.fwhm)) / true - 1,
        "claimed": math.hypot(*found.stderr[:2]) / math.sqrt(2) / true,
        "rms_width": math.sqrt(second_moment(found.spec) / second_moment(row.psf)) - 1,
        "together": registration.is_shift,
        "noise": float(np.median(np.abs(sigma / simulation.sigma - 1))),
        "seconds": seconds,
    }


def second_moment(spec: str) -> float:
    """Mean variance of a PSF over both axes, LR pixels squared."""
    gaussian = Psf.parse(spec).gaussian
    kernel = 0.0 if spec.startswith("gauss") else BOX_VARIANCE
    return kernel + (gaussian.yy + gaussian.xx) / 2


def line(name: str, runs: list[dict], small: set[str]) -> str:
    """One row of the table."""
    if not runs:
        return f"{name:12} every scene is too small"
    error, claimed, noise, rms = (
        np.array([run[key] for run in runs]) for key in ("error", "claimed", "noise", "rms_width")
    )
    worst = int(np.abs(error).argmax())
    z = float(np.sqrt(np.mean((error / claimed) ** 2)))
    notes = [f"target {'met' if np.median(np.abs(error)) <= TARGET and noise.max() <= NOISE_TARGET else 'missed'}"]
    alone = sum(not run["together"] for run in runs)
    notes += [f"{alone} by the reference alone"] if alone else []
    notes += [f"too small: {', '.join(sorted(small))}"] if small else []
    return (
        f"{name:12}{len(runs):7d}{runs[0]['true']:7.3f}{np.median(error):+8.3f}{np.median(np.abs(error)):8.3f}"
        f"{np.abs(error).max():8.3f}  {runs[worst]['scene']:20}{np.mean(np.abs(error) <= TARGET):8.2f}"
        f"{np.median(claimed):9.3f}{z:6.2f}{sum(run['fwhm'][0] != run['fwhm'][1] for run in runs):9d}"
        f"{np.median(np.abs(rms)):10.3f}{np.median(noise):8.3f}{noise.max():7.3f}"
        f"{np.median([run['seconds'] for run in runs]):9.2f}  {'; '.join(notes)}"
    )


if __name__ == "__main__":
    main()

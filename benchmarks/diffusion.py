"""What the diffusion makes of real scenes with simulated frames, motion unknown: samples, means and their texture.

    python benchmarks/diffusion.py [--weights FILE] [--setting NAME ...] [--scenes NAME ...]
                                   [--guidance] [--json FILE]

For each sampler and number of network evaluations: a single sample and the mean of `--samples`, ungated, beside the
linear estimate, Gaussian samples (no network) and regression by the same network (asked once, without noise). `power`
is the spatial power beyond the LR Nyquist frequency over the truth's, 1 for the right texture; `misfit` is the raw
held-out score of the frames that judge; `weight` is what the gate lets in of the mean. `low` is how far means over LR
pixels move from the linear estimate's, rms over eigen-images that change, in units of its error bar there. With
`--guidance` a sample and a mean of the default method follow, with one wish of each kind.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from learned import SETTINGS, Setting, prepared
from machine import machine
from simulated import as_stack, good_bands, scene_files

from hsimisr.diffusion.config import ProximalConfig, RegressionConfig, SamplerConfig, SamplingSettings
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.metrics import evaluate
from hsimisr.networks.denoiser import Denoiser
from hsimisr.networks.features import LEADING
from hsimisr.networks.weights import SHIPPED_DENOISER, SHIPPED_STUDENT, load_denoiser
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import choose_device, use_available_threads
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.refinement import Refinement, denoiser_of
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.stages import DiffusionStage

DIFFUSION = {
    "x2-K4": Setting(2, 4, "mtf:0.29", 30.0),
    "x4-K8": Setting(4, 8, "mtf:0.29", 30.0),
    "x2-K1": SETTINGS["x2-K1"],
}
SAMPLERS = {kind().method: kind for kind in get_args(SamplerConfig) if issubclass(kind, SamplingSettings)}
MOST_STUDENT_STEPS = 4
WISHES, STRENGTH = ("likelihood", "sam", "ergas", "low_rank"), 0.5
"""Kinds of guidance, and the weight that each is tried with."""
EVALUATIONS = (1, 2, 4, 8, 20, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=SHIPPED_DENOISER)
    parser.add_argument("--setting", nargs="+", default=list(DIFFUSION), choices=DIFFUSION)
    parser.add_argument("--scenes", nargs="+", help="file stems; all by default")
    parser.add_argument("--evaluations", nargs="+", type=int, default=list(EVALUATIONS))
    parser.add_argument("--student", type=Path, default=SHIPPED_STUDENT)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=SAMPLERS)
    parser.add_argument("--guidance", action="store_true")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_available_threads()
    networks = {
        role: load_denoiser(path) for role, path in (("denoiser", options.weights), ("student", options.student))
    }
    rows: list[dict] = []
    for name in options.setting:
        print(f"\n{name}: {DIFFUSION[name]}", flush=True)
        for path in scene_files(options.scenes):
            try:
                found = one(path, DIFFUSION[name], networks, options)
            except ConfigError as error:  # a scene too small for this setting
                print(f"{path.stem:20} left out: {error}", flush=True)
                continue
            for what, row in found.items():
                print(line(path.stem, what, row), flush=True)
                rows.append({"setting": name, "scene": path.stem, "what": what} | row)
        print(summary([row for row in rows if row["setting"] == name]), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def one(path: Path, setting: Setting, networks: dict[str, Denoiser], options: argparse.Namespace) -> dict[str, dict]:
    """Rows of one scene by what made them."""
    scene = good_bands(path)
    reach = 2.0 if min(scene.shape[1:]) / setting.scale >= 23.5 else 1.5
    frames = setting.frames
    simulation = simulate(
        scene, setting.scale, frames, setting.psf, setting.snr, setting.motion, max_shift=reach, seed=options.seed
    )
    stack = as_stack(simulation.frames)
    model = estimate_scene(stack, PipelineConfig(scale=setting.scale, psf=setting.psf), quiet_context())
    tile = prepared(stack, model)
    view = View.whole(stack.reference_frame.shape_yx)
    linear = reconstruct(stack, model, view, LmmseConfig(), quiet_context())

    def told(image: np.ndarray) -> dict:
        """Scores of eigen-images of the view, out-of-subspace residual and all."""
        bands = replace(linear, mean=image).bands()
        scores = evaluate(simulation.truth, bands, setting.scale).summary()
        return scores | {"power": power_ratio(bands, simulation.truth, setting.scale), "low": low(image)}

    def low(image: np.ndarray) -> float:
        """How far means over LR pixels have moved, in units of the error bar of an HR pixel."""
        n, s = LEADING, setting.scale
        moved = (image - linear.mean)[:n]
        moved = moved.reshape(len(moved), moved.shape[1] // s, s, -1, s).mean((2, 4))
        return float(np.sqrt(np.mean(moved**2 / linear.variance[:n].mean((1, 2))[:, None, None])))

    def stage(config: SamplerConfig) -> dict:
        began = time.perf_counter()
        refinement = Refinement((DiffusionStage(chosen, config, options.seed),), prepared={view: tile})
        made = reconstruct(stack, model, view, LmmseConfig(), quiet_context(), refinement=refinement)
        (verdict,) = refinement.verdicts
        extra = {"seconds": time.perf_counter() - began}
        if verdict.after is not None:
            extra["misfit"] = verdict.after.raw
        if config.gate and config.product == "mean":
            extra["weight"] = verdict.gate.mean
        return told(made.mean) | extra

    rows = {"linear": told(linear.mean)}
    chosen = denoiser_of(ProximalConfig(weights="untrained"), choose_device("auto"))
    rows["gaussian sample"] = stage(ProximalConfig(product="sample", steps=1))
    chosen = networks["denoiser"].to(choose_device("auto"))
    rows["regression"] = stage(RegressionConfig(gate=False))
    for sampler in options.samplers:
        role = SAMPLERS[sampler].role
        chosen = networks[role].to(choose_device("auto"))
        for steps in options.evaluations:
            if role == "student" and steps > MOST_STUDENT_STEPS:
                continue
            config = SAMPLERS[sampler](steps=steps)
            rows[f"{sampler} {steps} sample"] = stage(config.model_copy(update={"product": "sample"}))
            if steps <= 4:
                ungated = {"gate": False, "samples": options.samples}
                rows[f"{sampler} {steps} mean of {options.samples}"] = stage(config.model_copy(update=ungated))
    chosen = networks["denoiser"]
    for wish in WISHES if options.guidance else ():
        guided = {wish: STRENGTH, "steps": 4}
        rows[f"{wish} sample"] = stage(ProximalConfig(**guided, product="sample"))
        rows[f"{wish} mean of {options.samples}"] = stage(ProximalConfig(**guided, gate=False, samples=options.samples))
    rows["default mean, gated"] = stage(ProximalConfig())
    return rows


def power_ratio(bands: np.ndarray, truth: np.ndarray, scale: int) -> float:
    """Power beyond the LR Nyquist frequency over the truth's, summed over bands; Hann window, border left out."""
    border = 2 * scale
    parts = []
    for cube in (bands, truth):
        inner = cube[:, border:-border, border:-border].astype(float)
        window = np.outer(np.hanning(inner.shape[1]), np.hanning(inner.shape[2]))
        power = np.abs(np.fft.rfft2((inner - inner.mean((1, 2), keepdims=True)) * window)) ** 2
        fy, fx = np.fft.fftfreq(inner.shape[1]), np.fft.rfftfreq(inner.shape[2])
        beyond = np.maximum(np.abs(fy)[:, None], fx[None]) > 0.5 / scale
        parts.append(power[:, beyond].sum())
    return float(parts[0] / parts[1])


def line(scene: str, what: str, row: dict) -> str:
    extra = "".join(f"  {name} {row[name]:.3f}" for name in ("misfit", "weight", "seconds") if name in row)
    texture = f"power {row['power']:.2f}  low {row['low']:.2f}"
    return f"{scene[:18]:18} {what:28} {row['psnr']:6.2f} dB {row['sam']:6.2f} deg  {texture}{extra}"


def summary(rows: list[dict]) -> str:
    """Means over scenes, relative to the linear estimate."""
    linear = {row["scene"]: row for row in rows if row["what"] == "linear"}
    heads = {"over linear": 12, "SAM": 8, "power": 7, "low": 7, "seconds": 9}
    lines = [f"{f'means over {len(linear)} scenes':28} " + "".join(f"{head:>{w}}" for head, w in heads.items())]
    for what in dict.fromkeys(row["what"] for row in rows):
        part = [row for row in rows if row["what"] == what]
        gain = np.mean([row["psnr"] - linear[row["scene"]]["psnr"] for row in part])
        angle = np.mean([row["sam"] - linear[row["scene"]]["sam"] for row in part])
        power, moved = (np.mean([row[name] for row in part]) for name in ("power", "low"))
        seconds = np.mean([row.get("seconds", 0) for row in part])
        lines.append(f"{what:28} {gain:+9.3f} dB {angle:+7.3f} {power:6.2f} {moved:6.2f} {seconds:8.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

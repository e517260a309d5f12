"""What each part of the learned stage is worth: the whole chain, and the chain without one part.

    python benchmarks/ablations.py [--fold-a FILE --fold-b FILE] [--setting NAME ...] [--scenes NAME ...]

Gain over the linear estimate in dB, ungated, mean over the scenes. `refiner` is not adapted, `ttt` is. Without the data
step the network's image is not pulled back to the frames; without evidence it does not see their residuals; without
training the adaptation starts from an untrained network; without early stop the last network of the adaptation is
taken and not the one that predicts the judges best. Band by band is the linear estimate of a few bands each on its own
against that of the same bands in their subspace.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from learned import SETTINGS, Setting, add_weights, by_refiner, prepared, unseen
from simulated import as_stack, good_bands, scene_files, score

from hsimisr.adaptation import ttt
from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.geometry import View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.metrics import evaluate
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.refiner import Refiner
from hsimisr.networks.situation import Situation
from hsimisr.networks.weights import load_refiner
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import choose_device, use_available_threads
from hsimisr.pipeline.reconstruct import reconstruct
from hsimisr.pipeline.refinement import PreparedTile, adapt_to, refiner_of
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene

SCENES = ("abu-urban-1", "cave-feathers", "jasper-ridge", "abu-airport-3")
OFF = 30.0
"""A strength at which the data step moves nothing."""
BANDS = 6


class Blind(Refiner):
    """A refiner that sees nothing of the frames' residuals."""

    def gather_evidence(self, situation: Situation) -> torch.Tensor:
        return torch.zeros_like(super().gather_evidence(situation))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_weights(parser)
    parser.add_argument("--setting", nargs="+", default=["x2-K8", "x2-K4-affine", "x2-K2"], choices=SETTINGS)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), help="file stems")
    options = parser.parse_args()
    use_available_threads()
    for name in options.setting:
        rows = [
            one(path, SETTINGS[name], load_refiner(unseen(path.stem, options))) for path in scene_files(options.scenes)
        ]
        print(f"\n{name}: gain over the linear estimate, dB; mean of {', '.join(options.scenes)}")
        for part in rows[0]:
            gains = [row[part] for row in rows]
            print(f"  {part:26} {np.mean(gains):+.3f}   ({' '.join(f'{gain:+.2f}' for gain in gains)})", flush=True)


def one(path: Path, setting: Setting, trained: Refiner) -> dict[str, float]:
    """The gain of the chain with each part left out, on one scene."""
    simulation = simulate(good_bands(path), setting.scale, setting.frames, setting.psf, setting.snr, setting.motion)
    stack = as_stack(simulation.frames)
    model = estimate_scene(stack, PipelineConfig(scale=setting.scale, psf=setting.psf), quiet_context())
    linear = score(stack, model, simulation.truth, LmmseConfig())["psnr"]
    tile = prepared(stack, model)

    def gain(refiner: Refiner) -> float:
        refinement = by_refiner(refiner, tile, gate=False)
        return score(stack, model, simulation.truth, LmmseConfig(), refinement)["psnr"] - linear

    gains = {}
    for part, refiner in (("", trained), (", no data step", without_step(trained)), (", no evidence", blind(trained))):
        gains["refiner" + part] = gain(refiner)
        gains["ttt" + part] = gain(adapted(tile, refiner))
    with last_is_best():
        gains["ttt, no early stop"] = gain(adapted(tile, trained))
    untrained = refiner_of(RefinerConfig(weights="untrained"), choose_device("auto"), 0)
    gains["ttt, no training"] = gain(adapted(tile, untrained, "all"))
    gains["linear, band by band"] = band_by_band(simulation, setting)
    return gains


def adapted(tile: PreparedTile, refiner: Refiner, train: str = "last") -> Refiner:
    found = adapt_to(tile, refiner, TestTimeTrainingConfig(train=train), 0, lambda _: None, lambda *_: None)
    return refiner if found is None else found.refiner


def without_step(refiner: Refiner) -> Refiner:
    found = Refiner(refiner.shape).eval()
    found.load_state_dict(refiner.state_dict() | {"strength": torch.full_like(refiner.strength, OFF)})
    return found


def blind(refiner: Refiner) -> Refiner:
    found = Blind(refiner.shape).eval()
    found.load_state_dict(refiner.state_dict())
    return found


@contextmanager
def last_is_best() -> Iterator[None]:
    """Every look at the judges is taken for better than the one before."""
    looks, before = iter(range(10**6)), ttt.heldout_misfit
    ttt.heldout_misfit = lambda *_: -float(next(looks))
    try:
        yield
    finally:
        ttt.heldout_misfit = before


def band_by_band(simulation: Simulation, setting: Setting) -> float:
    """What is gained, or lost, where a few bands spread over the spectrum are solved each on its own; motion known."""
    frames, truth = simulation.frames, simulation.truth
    config = PipelineConfig(scale=setting.scale, psf=setting.psf)

    def psnr(bands: np.ndarray) -> np.ndarray:
        stack = as_stack(frames[:, bands])
        model = estimate_scene(stack, config, quiet_context(), known=simulation.registration)
        view = View.whole(stack.reference_frame.shape_yx)
        estimate = reconstruct(stack, model, view, LmmseConfig(), quiet_context())
        return evaluate(truth[bands], estimate.bands(), setting.scale).psnr_bands

    chosen = np.linspace(0, len(truth) - 1, BANDS).round().astype(int)
    together = psnr(np.arange(len(truth)))[chosen]
    apart = np.concatenate([psnr(np.array([band])) for band in chosen])
    return float((apart - together).mean())


if __name__ == "__main__":
    main()

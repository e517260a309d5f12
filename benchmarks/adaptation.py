"""PSNR against seconds of adaptation: a view of 64 x 64 LR pixels, x2, K = 8, from trained weights and from none.

    python benchmarks/adaptation.py [--fold-a FILE --fold-b FILE] [--scenes NAME ...]

Each line is a look at the frames that judge: seconds from the start of the adaptation (the linear solutions that it
learns from included, which stand first), their misfit, and what the best network so far gains over the linear estimate,
in dB, ungated. A drawn town has 200 bands; real scenes, cut to the view, have as many as they have, which adds nothing
to the time: the network sees eigen-images. Weights as in `learned`.
"""

from __future__ import annotations

import argparse
import copy
import time

import numpy as np
from learned import add_weights, by_refiner, prepared, unseen
from machine import machine
from simulated import as_stack, good_bands, middle, scene_files, score

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.adaptation.ttt import Check
from hsimisr.inversion.config import LmmseConfig
from hsimisr.networks.config import RefinerConfig
from hsimisr.networks.refiner import Refiner
from hsimisr.networks.weights import load_refiner
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.device import choose_device, use_available_threads
from hsimisr.pipeline.refinement import PreparedTile, adapt_to, refiner_of
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene

SIDE = 64
SCENES = ("cave-cloth", "cave-feathers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_weights(parser)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), help="file stems of large scenes")
    options = parser.parse_args()
    print(machine(), f"{use_available_threads()} threads")
    run("town, 200 bands", town((2 * SIDE + 20,) * 2, bands=200).cube, load_refiner(options.fold_a))
    for path in scene_files(options.scenes):
        scene = good_bands(path)
        run(f"{path.stem}, {len(scene)} bands", middle(scene, 2 * SIDE + 20), load_refiner(unseen(path.stem, options)))


def run(name: str, scene: np.ndarray, trained: Refiner) -> None:
    """Both adaptations of one scene."""
    simulation = simulate(scene, 2, 8, "mtf:0.29", 30.0)
    stack = as_stack(simulation.frames)
    model = estimate_scene(stack, PipelineConfig(scale=2, psf="mtf:0.29"), quiet_context())
    linear = score(stack, model, simulation.truth, LmmseConfig())["psnr"]
    print(f"\n{name}, frames of {simulation.frames.shape[2:]}: linear {linear:.2f} dB")
    untrained = refiner_of(RefinerConfig(weights="untrained"), choose_device("auto"), 0)
    for start, refiner, moves in (("trained", trained, "last"), ("untrained", untrained, "all")):
        tile = prepared(stack, model)
        for seconds, check, best in looks(tile, refiner, moves):
            told = "no better"
            if best is not None:
                refinement = by_refiner(best.eval(), tile, gate=False)
                found = score(stack, model, simulation.truth, LmmseConfig(), refinement)["psnr"]
                told = f"gain {found - linear:+.3f} dB"
            print(f"  {start:10} step {check.step:3d} {seconds:6.1f} s  held-out misfit {check.heldout:.4f}  {told}")


def looks(tile: PreparedTile, refiner: Refiner, moves: str) -> list[tuple[float, Check, Refiner | None]]:
    """When the judges were asked, what they said, and a copy of the network where it was the best so far."""
    found = []
    began = time.perf_counter()

    def look(check: Check, best: Refiner | None) -> None:
        found.append((time.perf_counter() - began, check, copy.deepcopy(best)))

    config = TestTimeTrainingConfig(train=moves, seconds=240.0)
    adapt_to(tile, refiner, config, 0, lambda _: None, look)
    return found


if __name__ == "__main__":
    main()

"""What a forward of the refiner costs beside ESSAformer's network: x4, a tile of 32 x 32 LR pixels, 128 bands.

    python benchmarks/network_cost.py [--runs 3] [--threads N]

ESSAformer (Zhang et al., ICCV 2023) is built here from its description, 256 channels wide, with random weights: what
it costs does not depend on them. Both run in turns in one process, so that their ratio holds on a noisy machine. The
refiner takes the tile with its margin and 16 frames, as the pipeline hands it over; the linear estimate that it starts
from is not counted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from machine import machine
from torch import nn
from torch.nn import functional

from hsimisr.networks.refiner import Refiner
from hsimisr.networks.situation import Situation
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.pipeline.device import use_available_threads
from hsimisr.training.draw import Look
from hsimisr.training.recipe import SituationRecipe
from hsimisr.training.sample import observed

SCALE, SIDE, BANDS, FRAMES = 4, 32, 128, 16


class Attention(nn.Module):
    """ESSA attention of one image's tokens ``(N, C)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        q, k, v = self.query_key_value(tokens).chunk(3, -1)
        q, k = ((part - part.mean(-1, keepdim=True)) ** 2 for part in (q, k))
        a, b = functional.normalize(q, dim=-1), functional.normalize(k / k.sum(-1, keepdim=True), dim=-2)
        return self.out(v + a @ (b.mT @ v) / len(tokens) ** 0.5)


class Projection(nn.Module):
    """Attention beside what came in, mixed by a bottleneck turned inside out, around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = Attention(channels)
        self.mix = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.attention(self.norm(x[0].flatten(1).T))
        return x + self.mix(torch.cat([tokens.T.reshape(x.shape), x], 1))


class Essaformer(nn.Module):
    """Three projections on the HR grid and two on the LR grid in turns, weights shared among those of one grid."""

    def __init__(self, bands: int, channels: int = 256) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(bands, channels, 3, padding=1), nn.Conv2d(channels, bands, 3, padding=1)
        self.high, self.low = Projection(channels), Projection(channels)
        up: list[nn.Module] = []
        down: list[nn.Module] = []
        for _ in range(2):  # by 2 each, 4 together
            up += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
            down += [nn.Conv2d(channels, channels // 4, 3, padding=1), nn.PixelUnshuffle(2)]
        self.up, self.down = nn.Sequential(*up), nn.Sequential(*down)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.first(x)
        high = self.high(self.up(low))
        for _ in range(2):
            low = self.low(self.down(high) + low)
            high = self.high(self.up(low) + high)
        return self.last(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: those the process may use")
    options = parser.parse_args()
    threads = use_available_threads()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine(), f"{options.threads or threads} threads")
    refiner, essaformer = Refiner().eval(), Essaformer(BANDS).eval()
    for name, network in (("refiner", refiner), ("ESSAformer", essaformer)):
        print(f"{name}: {sum(p.numel() for p in network.parameters()) / 1e6:.2f} million parameters")
    tile, situation = torch.rand(1, BANDS, SIDE, SIDE), a_situation()
    taken: dict[str, list[float]] = {"refiner": [], "ESSAformer": []}
    for _ in range(options.runs):
        taken["refiner"].append(seconds(refiner, situation))
        taken["ESSAformer"].append(seconds(essaformer, tile))
    for name, times in taken.items():
        print(f"{name}: {min(times):.2f} s (median {np.median(times):.2f})")
    print(f"ratio {min(taken['ESSAformer']) / min(taken['refiner']):.1f} (target 20)")


def a_situation() -> Situation:
    """A tile of the size, as the pipeline meets it."""
    look = Look("town", SCALE, FRAMES, 35.0, "box", "box", "shift", 1.0, 0.0, 0.0, False, SIDE)
    scene = town((look.side, look.side), bands=BANDS).cube
    simulation = simulate(scene, SCALE, FRAMES, "box", look.snr, max_shift=look.max_shift)
    assert simulation.frames.shape[2:] == (SIDE, SIDE)
    return observed(simulation, simulation.registration, look, SituationRecipe()).situation


@torch.no_grad()
def seconds(network: nn.Module, given: object) -> float:
    began = time.perf_counter()
    network(given)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

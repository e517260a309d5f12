"""What all tiles of a run have in common, so that any process can make any of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.inversion.config import InvertConfig
from hsimisr.inversion.invert import OnStep
from hsimisr.physics.types import SceneModel
from hsimisr.pipeline.reconstruct import invert_tile
from hsimisr.pipeline.refinement import Refinement
from hsimisr.pipeline.tile_file import write_tile


@dataclass(frozen=True, eq=False)
class TileJob:
    """How the tiles of a run are made; holds no frames and crosses to other processes."""

    scene: SceneModel
    config: InvertConfig
    with_variance: bool
    with_residual: bool
    refinement: Refinement | None = None

    def make(self, stack: FrameStack, tile: View, path: Path, device: torch.device, on_step: OnStep) -> None:
        """Invert a tile and write it."""
        found = invert_tile(
            stack,
            self.scene,
            tile,
            self.config,
            device,
            self.with_variance,
            self.with_residual,
            on_step,
            None if self.refinement is None else self.refinement.on(device),
        )
        write_tile(path, found)

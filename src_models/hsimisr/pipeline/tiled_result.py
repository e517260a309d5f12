"""What a tiled run leaves behind, readable in any part; free of torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import Grid, View
from hsimisr.inversion.config import LmmseConfig
from hsimisr.physics.types import Estimate, Float32, SceneModel
from hsimisr.pipeline.blend import blend
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.pipeline.tiles import blend_weight, overlap, place


@dataclass(frozen=True, eq=False)
class TiledResult:
    """What a tiled run leaves behind: tiles on disk, of which any part can be blended.

    Attributes:
        view: what the tiles cover together.
        tiles: each tile and where it is.
        scene: motion, PSF, noise, subspace and prior that the tiles share.
        config: every knob of the run.
        residual_variance: variance per band ``(B,)`` outside the subspace, the mean over the tiles, or None.
        diagnostics: timings in seconds, device, view and number of frames used, by name.
    """

    view: View
    tiles: dict[View, Path]
    scene: SceneModel
    config: PipelineConfig
    residual_variance: npt.NDArray[np.float64] | None
    diagnostics: dict[str, Any]

    @property
    def grid(self) -> Grid:
        return Grid.of_view(self.view, self.scene.scale)

    @property
    def has_variance(self) -> bool:
        return with_variance(self.config) and isinstance(self.config.invert, LmmseConfig)

    def determined(self) -> Float32 | None:
        """`Estimate.determined` of the whole view ``(h, w)``."""
        from hsimisr.pipeline.tile_file import read_map  # only when asked: it loads zarr

        blended = np.zeros(self.view.shape, np.float32)
        for tile, path in self.tiles.items():
            image = read_map(path, "determined")
            if image is None:
                return None
            blended[place(tile, self.view, 1)] += image * blend_weight(tile, self.view, 1)
        return blended

    def part(self, area: View, bands: slice) -> Estimate:
        """The estimate of an area of the view for some of the bands, read from the tiles that reach into it."""
        from hsimisr.pipeline.tile_file import read_tile

        def read() -> Iterator[tuple[View, Estimate]]:
            for tile, path in self.tiles.items():
                if overlap(tile, area):
                    yield tile, read_tile(path, tile, self.scene, area, bands)

        spread = None if self.residual_variance is None else self.residual_variance[bands]
        return replace(blend(read(), self.view, area), residual_variance=spread)


def with_variance(config: PipelineConfig) -> bool:
    """Whether error bars are asked for."""
    return not isinstance(config.uncertainty, NoStage)

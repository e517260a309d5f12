"""Maps of the band that is shown: how large its error bar is, and how far it is from a truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsimisr.geometry import View
from hsimisr.physics.types import Estimate, Float32
from napari_hsimisr.counterpart import Counterpart
from napari_hsimisr.maps import Map


@dataclass(frozen=True, eq=False)
class BandMaps:
    """Maps of one band on the HR grid, each where it was asked for.

    Attributes:
        relative: error bar over absolute value, percent.
        error: refined minus truth without its sign, in data units or in error bars.
        rms: root mean square of the error; NaN where nothing can be compared.
    """

    band: int
    relative: Map | None = None
    error: Map | None = None
    rms: float = float("nan")

    def beyond(self, percent: float) -> Map | None:
        """The relative error bars larger than that, NaN elsewhere."""
        if self.relative is None:
            return None
        values = self.relative.values
        return Map(np.where(values > percent, values, np.float32(np.nan)), self.relative.to_reference)

    def share_beyond(self, percent: float) -> float:
        """Part of the pixels with an error bar for which that holds, 0 to 1; NaN where there are none."""
        if self.relative is None:
            return float("nan")
        known = self.relative.values[~np.isnan(self.relative.values)]
        return float((known > percent).mean()) if known.size else float("nan")


@dataclass(frozen=True, eq=False)
class BandPlan:
    """What to compute of a band: taken from the session on the GUI thread, carried out on another by `read`.

    Attributes:
        truth: on the HR grid, or None for no error map.
        in_bars: error in units of the error bar.
    """

    estimate: Estimate
    band: int
    relative: bool
    truth: Counterpart | None
    in_bars: bool

    def read(self) -> BandMaps:
        """Compute it, and read the truth; raises what that raises."""
        index = np.array([self.band])
        value = self.estimate.bands(index)[0]
        std = self.estimate.std(index)[0]
        relative = error = None
        rms = float("nan")
        if self.relative:
            relative = Map.on_grid(_percent(std, value), self.estimate.grid)
        if self.truth is not None:
            height, width = self.estimate.grid.shape
            truth = self.truth.read(View(0, height, 0, width), slice(self.band, self.band + 1))[0]
            off = np.abs(value - truth) / std if self.in_bars else np.abs(value - truth)
            finite = off[np.isfinite(off)].astype(float)
            rms = float(np.sqrt(np.mean(finite**2))) if finite.size else rms
            error = Map.on_grid(off, self.estimate.grid)
        return BandMaps(self.band, relative, error, rms)


def _percent(std: Float32, value: Float32) -> Float32:
    """Error bar over value; infinite at zeros, where nothing is known beyond the error bar."""
    with np.errstate(divide="ignore"):
        return np.asarray(100 * std / np.abs(value), dtype=np.float32)

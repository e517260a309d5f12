"""The gate: how much of a stage's change held-out frames support, and where.

A stage is used only where it clearly predicts frames better that it has not seen. All eigen-images share one weight,
as they share their edges: weights of their own would each need the evidence anew, and bend spectra where they differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.errors import ConfigError
from hsimisr.heldout.blocks import BLOCK, block_sums, clearly_positive, mean_over_blocks
from hsimisr.heldout.judge import Residuals
from hsimisr.physics.canvas import Canvas

Float64 = npt.NDArray[np.float64]
SPACING = 16
"""LR pixels between the centres of regions, about."""
SIZE = 32
"""Side, LR pixels, of the window in which a region is judged."""


@dataclass(frozen=True, eq=False)
class GateWeight:
    """How far to go from one estimate towards the next.

    Attributes:
        map: weight ``(h, w)`` on the LR canvas, smooth, 0 to 1.
        mean: its mean over the view.
        gain: what it takes off the mean squared whitened residual of the held-out frames, each block judged with
            weights that were fitted to others.
        gain_stderr: standard error of `gain`; both are NaN where nothing could be judged.
        reason: why it is as it is, for people.
    """

    canvas: Canvas
    map: torch.Tensor
    mean: float
    gain: float
    gain_stderr: float
    reason: str

    def on_hr(self) -> torch.Tensor:
        """The weight of each HR pixel of the canvas ``(H, W)``."""
        return torch.nn.functional.interpolate(self.map[None, None], size=self.canvas.hr_shape, mode="bilinear")[0, 0]

    def blend(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """HR images ``(r, H, W)`` of the canvas, between those of two estimates."""
        return torch.lerp(before, after, self.on_hr())


def fixed_gate(canvas: Canvas, device: torch.device, weight: float, reason: str) -> GateWeight:
    """The same weight everywhere, where no frame can judge."""
    return GateWeight(canvas, torch.full(canvas.shape, weight, device=device), weight, math.nan, math.nan, reason)


def gate(before: Sequence[Residuals], after: Sequence[Residuals], size: int = SIZE) -> GateWeight:
    """The blend ``(1 - a) before + a after`` that held-out frames support, region by region.

    In each region a minimises the squared residual. Whether that is a gain is judged by cross-fitting: the blocks of
    one colour of a checkerboard with the weight that those of the other want. A region with a clear gain takes its own
    weight, one that clearly wants less than the whole view takes none, and all others take the whole view's, which is 0
    unless the gain over the view is clear.

    Args:
        before, after: residuals of the same held-out frames under the two estimates, at least one.
        size: side, LR pixels, of the window in which a region is judged.

    Raises:
        ConfigError: a window would hold no block of either colour.
    """
    if size < 2 * BLOCK:
        raise ConfigError(f"a gate window of {size} LR pixels holds too few blocks; give {2 * BLOCK} or more")
    canvas, device = before[0].canvas, before[0].whitened.device
    blocks = _Blocks.of(before, after)
    of_view = blocks.weights() * blocks.favour(blocks.weights())
    rows, columns = _Axis.of(canvas)
    apart = max(1.0, rows.length * columns.length / size**2)
    regions = [[blocks.cut(down, right) for right in columns.windows(size)] for down in rows.windows(size)]
    weights = np.array([[_decided(region, of_view, apart) for region in row] for row in regions])
    judged = rows.between(rows.blocks) @ weights[..., :2].transpose(2, 0, 1) @ columns.between(columns.blocks).T
    gain, stderr = mean_over_blocks(blocks.gains(np.choose(blocks.colour, judged)), blocks.count)
    on_lr = rows.between(rows.pixels) @ weights[..., 2] @ columns.between(columns.pixels).T
    mean = float(on_lr[np.ix_(rows.inside, columns.inside)].mean())
    return GateWeight(
        canvas, torch.from_numpy(on_lr.astype(np.float32)).to(device), mean, gain, stderr, _reason(mean, gain, stderr)
    )


def _decided(region: _Blocks, of_view: Float64, regions: float) -> Float64:
    """The weights of one of so many independent regions (see `_Blocks.weights`), given those of the whole view."""
    own = region.weights()
    if region.favour(own, regions):
        return own
    return np.zeros(3) if region.want_less(of_view[2]) else of_view


def _reason(mean: float, gain: float, stderr: float) -> str:
    if mean == 0:
        return "held-out frames show no clear gain: the estimate before is kept"
    return f"held-out frames support {mean:.0%} of the change, which takes {gain:.3g} ± {stderr:.2g} off their misfit"


@dataclass(frozen=True, eq=False)
class _Blocks:
    """What the blocks ``(rows, columns)`` of a part of the view say about a weight a.

    The squared residual changes by ``-2 a pull + a^2 power``; `count` data say so.
    """

    pull: Float64
    power: Float64
    count: Float64
    colour: npt.NDArray[np.int64]

    @classmethod
    def of(cls, before: Sequence[Residuals], after: Sequence[Residuals]) -> _Blocks:
        """Frames at one place share the error of the estimate there: a block is one datum in all of them together."""
        total = torch.zeros((3, *before[0].counts.shape), dtype=torch.float64, device=before[0].counts.device)
        for old, new in zip(before, after, strict=True):
            error = old.whitened.double()
            step = error - new.whitened
            parts = [(error * step).sum(0), (step**2).sum(0), torch.full_like(error[0], len(error))]
            total += torch.where(old.counts, torch.stack(parts), 0.0)
        pull, power, count = block_sums(total, before[0].canvas)
        return cls(pull, power, count, np.indices(count.shape).sum(0) % 2)

    def cut(self, rows: slice, columns: slice) -> _Blocks:
        part = rows, columns
        return _Blocks(self.pull[part], self.power[part], self.count[part], self.colour[part])

    def weights(self) -> Float64:
        """Weights ``(3,)`` to judge blocks of colour 0 and 1 with, which those of the other want, and that of all."""
        return np.array([self._best(self.colour == 1), self._best(self.colour == 0), self._best(self.colour >= 0)])

    def gains(self, weight: Float64) -> Float64:
        """What weights take off the squared residual of each block."""
        return 2 * weight * self.pull - weight**2 * self.power

    def favour(self, weights: Float64, chances: float = 1.0) -> bool:
        """Whether `weights` are a clear gain, each block judged with what the other colour wants."""
        return clearly_positive(self.gains(weights[self.colour]), self.count, chances)

    def want_less(self, weight: float) -> bool:
        """Whether the weight of least squared residual is clearly below this one."""
        return clearly_positive(weight * self.power - self.pull, self.count)

    def _best(self, used: npt.NDArray[np.bool_]) -> float:
        power = float(self.power[used].sum())
        return float(np.clip(self.pull[used].sum() / power, 0, 1)) if power > 0 else 0.0


class _Axis:
    """Regions along one axis of a view of `length` LR pixels, their centres spread evenly.

    Attributes:
        blocks, pixels: centres of the view's blocks and the canvas' pixels, LR pixels from the start of the view.
        inside: which pixels lie in the view.
    """

    def __init__(self, length: int, margin: int, canvas_length: int) -> None:
        self.length = length
        self.blocks = BLOCK * np.arange(0.5, -(-length // BLOCK))
        self.pixels = np.arange(0.5, canvas_length) - margin
        self.inside = (self.pixels > 0) & (self.pixels < length)
        count = max(1, round(length / SPACING))
        self._spacing = length / count
        self._centres = (np.arange(count) + 0.5) * self._spacing

    @classmethod
    def of(cls, canvas: Canvas) -> tuple[_Axis, _Axis]:
        """Those of y and x."""
        (y, x), (y0, x0), (h, w) = canvas.origin, canvas.view.origin, canvas.view.shape
        return cls(h, y0 - y, canvas.shape[0]), cls(w, x0 - x, canvas.shape[1])

    def windows(self, size: int) -> list[slice]:
        """The blocks of each region: those whose centres lie within half of `size`."""
        near = [np.flatnonzero(np.abs(self.blocks - centre) <= size / 2) for centre in self._centres]
        return [slice(int(found[0]), int(found[-1]) + 1) for found in near]

    def between(self, positions: Float64) -> Float64:
        """Shares ``(n, regions)`` of the regions in the weight at positions, fading from centre to centre; sum 1."""
        place = np.clip(positions / self._spacing - 0.5, 0, len(self._centres) - 1)
        apart = np.abs(place[:, None] - np.arange(len(self._centres)))
        return np.where(apart < 1, np.cos(apart * (np.pi / 2)) ** 2, 0.0)

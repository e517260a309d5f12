"""One estimate out of overlapping tiles, in memory or for a part at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import Grid, View
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.tiles import blend_weight, overlap, place


def blend(tiles: Iterable[tuple[View, Estimate]], view: View, area: View) -> Estimate:
    """The estimate of an area of a view, each tile fading into its neighbours.

    Args:
        tiles: each tile as it was cut from the view, and the estimate of it, or of that part of it that shows the area.
            Tiles that do not reach into the area may be left out; at least one has to.
        view: what all tiles together cover.
        area: the part that is wanted.
    """
    sums: dict[str, Float32] = {}
    measured = np.zeros(area.shape, bool)
    spreads = []
    for tile, part in tiles:
        seen = part.grid.view
        shared = overlap(seen, area)
        if shared is None:
            continue
        for name, image, scale in (
            ("mean", part.mean, part.grid.scale),
            ("variance", part.variance, part.grid.scale),
            ("residual", part.residual, 1),
            ("learned", None if part.learned is None else part.learned[None], 1),
            ("determined", None if part.determined is None else part.determined[None], 1),
        ):
            if image is None:
                continue
            if name not in sums:
                sums[name] = np.zeros((len(image), area.shape[0] * scale, area.shape[1] * scale), np.float32)
            fade = blend_weight(tile, view, scale)[place(shared, tile, scale)]
            sums[name][:, *place(shared, area, scale)] += image[:, *place(shared, seen, scale)] * fade
        known = True if part.measured is None else part.measured[place(shared, seen, 1)]
        measured[place(shared, area, 1)] |= known
        if part.residual_variance is not None:
            spreads.append(part.residual_variance)
        last = part
    return Estimate(
        mean=sums["mean"],
        subspace=last.subspace,
        grid=Grid.of_view(area, last.grid.scale),
        variance=sums.get("variance"),
        residual=sums.get("residual"),
        residual_variance=_average(spreads),
        measured=None if measured.all() else measured,
        learned=sums["learned"][0] if "learned" in sums else None,
        determined=sums["determined"][0] if "determined" in sums else None,
        method=last.method,
    )


def _average(spreads: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64] | None:
    return np.asarray(np.mean(spreads, axis=0)) if spreads else None

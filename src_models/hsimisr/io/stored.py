"""What a reader finds in a file, before the band axis, the units and the bad bands are settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from hsimisr.cube import Vector

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class BandTable:
    """What a file says about its bands.

    Attributes:
        centres: band centres ``(band,)`` in `unit`, or None.
        unit: unit of centres and widths as the file spells it, or None where it does not tell.
        fwhm: band widths ``(band,)`` in `unit`, or None.
        bad: ``(band,)``, True for bands the file itself calls bad, or None.
        count: number of bands where only that is known.
    """

    centres: Vector | None = None
    unit: str | None = None
    fwhm: Vector | None = None
    bad: npt.NDArray[np.bool_] | None = None
    count: int | None = None

    @property
    def length(self) -> int | None:
        """How many bands this table speaks of, or None."""
        return self.count if self.centres is None else self.centres.size


@dataclass(frozen=True, eq=False)
class Stored:
    """One array of a file as it is stored, with the file's own metadata.

    Attributes:
        array: lazy array with two to four axes.
        axes: one letter per axis (``k`` frame, ``b`` band, ``y``, ``x``), or None where the file does not tell.
        habit: the axes that files of this format usually have, for when `axes` is None.
        record: the complete metadata as this package wrote them (see `hsimisr.io.record`); it wins over the rest.

    The other attributes are those of `Cube`.
    """

    array: da.Array
    axes: str | None = None
    habit: str = "byx"
    bands: BandTable = BandTable()
    nodata: float | None = None
    scale_factor: float = 1.0
    crs: str | None = None
    transform: Transform | None = None
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    record: str | None = None

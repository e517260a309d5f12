"""Cubes and stacks of frames: lazy arrays with the metadata that hyperspectral people need to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from hsimisr.errors import StackError
from hsimisr.geometry import View

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CubeSource:
    """Where a cube came from, small enough to send to another process and enough to open it again there.

    `variable` names an array inside a container file; `index` picks a frame of a 4-D array. With
    `bands_as_frames` a 3-D array is a sequence of one-band frames, and `index` picks one of those.
    """

    path: str
    variable: str | None = None
    index: int | None = None
    bands_as_frames: bool = False

    def __str__(self) -> str:
        text = self.path if self.variable is None else f"{self.path}:{self.variable}"
        return text if self.index is None else f"{text}#{self.index}"


@dataclass(frozen=True, eq=False)
class Cube:
    """One hyperspectral image.

    Attributes:
        data: lazy array ``(band, y, x)`` in the file's own units.
        wavelengths: band centres in nanometres ``(band,)``, or None where the file does not tell.
        fwhm: band widths in nanometres ``(band,)``, or None.
        bad: boolean ``(band,)``, True for bands that hold no usable data. They stay in the cube; estimates
            hold NaN there.
        nodata: the value in `data` that means "nothing measured", or None.
        scale_factor: physical value = `data` * scale_factor (1 where the file does not tell).
        crs: coordinate reference system as WKT or an authority code, or None.
        transform: GDAL order ``(x0, dx, rx, y0, ry, dy)`` of the upper left pixel corner, or None.
        name: short name for tables and layers.
        source: how to open this cube again, or None for arrays in memory.
        notes: what the reader had to find out or repair, one sentence each, shown to the user.
        extra: further metadata kept for a lossless round trip.
    """

    data: da.Array
    wavelengths: Vector | None = None
    fwhm: Vector | None = None
    bad: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # filled in __post_init__
    nodata: float | None = None
    scale_factor: float = 1.0
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    name: str = "cube"
    source: CubeSource | None = None
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise StackError(f"{self.name}: a cube has three axes (band, y, x), this one has shape {self.data.shape}")
        bands = self.data.shape[0]
        bad = np.zeros(bands, bool) if self.bad is None else np.asarray(self.bad, bool)
        object.__setattr__(self, "bad", bad)
        for key in ("wavelengths", "fwhm"):
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, np.asarray(value, float))
        for key in ("wavelengths", "fwhm", "bad"):
            value = getattr(self, key)
            if value is not None and value.shape != (bands,):
                raise StackError(f"{self.name}: {key} has {value.size} entries for {bands} bands")

    @classmethod
    def from_array(cls, array: npt.ArrayLike | da.Array, **metadata: Any) -> Cube:
        """A cube from an array ``(band, y, x)`` that is in memory or lazy already."""
        data = array if isinstance(array, da.Array) else da.from_array(np.asarray(array))
        return cls(data, **metadata)

    @property
    def bands(self) -> int:
        return int(self.data.shape[0])

    @property
    def shape_yx(self) -> tuple[int, int]:
        return int(self.data.shape[1]), int(self.data.shape[2])

    @property
    def good(self) -> npt.NDArray[np.intp]:
        """Indices of the usable bands."""
        return np.flatnonzero(~self.bad)

    def crop(self, view: View) -> Cube:
        """The part of this cube inside `view` (its own pixels), with the transform moved along; lazy."""
        v = view.clipped(self.shape_yx)
        transform = self.transform
        if transform is not None:
            x0, dx, rx, y0, ry, dy = transform
            transform = (x0 + v.x0 * dx + v.y0 * rx, dx, rx, y0 + v.x0 * ry + v.y0 * dy, ry, dy)
        return replace(self, data=self.data[:, v.y0 : v.y1, v.x0 : v.x1], transform=transform, source=None)

    def good_bands(self) -> Cube:
        """This cube without its bad bands; lazy."""
        keep = self.good
        wavelengths, fwhm = (None if v is None else v[keep] for v in (self.wavelengths, self.fwhm))
        extra = {
            key: [value[k] for k in keep] if isinstance(value, list) and len(value) == self.bands else value
            for key, value in self.extra.items()  # band names and the like
        }
        data, bad = self.data[keep], np.zeros(len(keep), bool)
        return replace(self, data=data, wavelengths=wavelengths, fwhm=fwhm, bad=bad, extra=extra, source=None)

    def read(self, view: View | None = None, bands: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Load as float32 ``(band, y, x)`` in the file's units, with NaN for nodata and bad bands."""
        window = View.whole(self.shape_yx) if view is None else view.clipped(self.shape_yx)
        # in one step: dask passes one slice on to the file, a second one it takes of what was read
        data = self.data[bands, window.y0 : window.y1, window.x0 : window.x1]
        # dask's own callbacks are global: napari's fail when two threads read; and a window is read where it is needed,
        # even in a worker of a cluster
        array = np.asarray(data.compute(callbacks=(), scheduler="threads"))
        out = array.astype(np.float32)
        if self.nodata is not None and not np.isnan(self.nodata):
            out[_equals(array, self.nodata)] = np.nan
        out[self.bad[bands]] = np.nan
        return out

    def spectrum(self, y: int, x: int) -> npt.NDArray[np.float32]:
        """The spectrum ``(band,)`` of one pixel, NaN where there are no data."""
        return self.read(View(y, y + 1, x, x + 1))[:, 0, 0]


def _equals(array: npt.NDArray[Any], value: float) -> npt.NDArray[np.bool_]:
    """Where an array holds `value`; nowhere, if its type cannot hold it (-9999 in unsigned integers)."""
    if np.issubdtype(array.dtype, np.integer):
        limits = np.iinfo(array.dtype)
        if not limits.min <= value <= limits.max or value != int(value):
            return np.zeros(array.shape, bool)
    return np.asarray(array == array.dtype.type(value))


@dataclass(frozen=True, eq=False)
class FrameStack:
    """K frames of one scene, one of them the reference whose pixel grid defines all coordinates.

    Raises:
        StackError: no frames, frames with different bands, or a reference that is not there.
    """

    frames: tuple[Cube, ...]
    reference: int = 0

    def __post_init__(self) -> None:
        if not self.frames:
            raise StackError("no frames given; at least one is needed")
        if not 0 <= self.reference < len(self.frames):
            raise StackError(f"reference frame {self.reference} does not exist: there are {len(self.frames)} frames")
        first = self.frames[self.reference]
        for frame in self.frames:
            if frame.bands != first.bands:
                raise StackError(
                    f"{frame.name} has {frame.bands} bands but the reference {first.name} has {first.bands}: "
                    "frames of one stack come from one sensor; leave the odd one out"
                )
            if frame.wavelengths is None or first.wavelengths is None:
                continue
            spacing = float(np.median(np.abs(np.diff(first.wavelengths)))) if first.bands > 1 else 1.0
            gap = float(np.abs(frame.wavelengths - first.wavelengths).max())
            if gap > 0.5 * max(spacing, 1e-6):
                raise StackError(
                    f"{frame.name} and the reference {first.name} differ by up to {gap:.1f} nm in wavelength; "
                    "resample them to one set of bands first"
                )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def bands(self) -> int:
        return self.frames[self.reference].bands

    @property
    def bad(self) -> npt.NDArray[np.bool_]:
        """Bands that are bad in any frame."""
        return np.logical_or.reduce([frame.bad for frame in self.frames])

    @property
    def reference_frame(self) -> Cube:
        return self.frames[self.reference]

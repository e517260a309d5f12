"""A cube as a colour picture: three bands by wavelength, stretched by percentiles of a sample, made strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.errors import Cancelled

Triple = tuple[int, int, int]
Float32 = npt.NDArray[np.float32]
Limits = npt.NDArray[np.float64]
"""Darkest and brightest value ``(3, 2)`` of red, green and blue, in data units."""

FAR_NM = 30.0
"""A band farther than this from the wavelength that was asked for is told."""
WINDOW, WINDOWS = 32, 8
"""Side of a sampled window in pixels, and how many there are along each side of a large image."""
LARGEST = 1 << 24
"""Pixels of a picture; of larger cubes only every third, fifth, ... pixel is read."""


@dataclass(frozen=True)
class Preset:
    """Three wavelengths that show something.

    Attributes:
        nm: of red, green and blue, nanometres.
        together: whether the three are stretched alike, as true colours want it; else each uses its own contrast.
    """

    name: str
    nm: tuple[float, float, float]
    together: bool = False


TRUE_COLOUR = Preset("True colour", (640.0, 550.0, 460.0), together=True)
PRESETS = (
    TRUE_COLOUR,
    Preset("Colour infrared", (860.0, 650.0, 550.0)),
    Preset("Red edge", (740.0, 705.0, 560.0)),
    Preset("Short-wave infrared", (2200.0, 1650.0, 860.0)),
)


@dataclass(frozen=True)
class Choice:
    """Bands for red, green and blue, counted from 0, and what is to be said about them."""

    bands: Triple
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A colour picture.

    Attributes:
        image: ``(h, w, 4)`` red, green, blue and opacity, 0 to 255; clear where a band holds nothing.
        step: its pixel ``i`` is pixel ``i * step + step // 2`` of the cube.
    """

    image: npt.NDArray[np.uint8]
    step: int


def usable(cube: Cube) -> npt.NDArray[np.intp]:
    """Usable bands, or all where there are none; those without a wavelength are no choice where others have one."""
    good = cube.good if len(cube.good) else np.arange(cube.bands)
    if cube.wavelengths is not None and np.isfinite(cube.wavelengths[good]).any():
        good = good[np.isfinite(cube.wavelengths[good])]
    return good


def bands_at(cube: Cube, nm: Sequence[float]) -> Choice:
    """The usable bands nearest to three wavelengths; without wavelengths, bands spread evenly over the cube."""
    good = usable(cube)
    if cube.wavelengths is None:
        count = len(good)
        spread = [int(good[(2 * third + 1) * count // 6]) for third in (2, 1, 0)]
        return Choice(_triple(spread), (f"{cube.name} tells no wavelengths: bands are chosen by their number",))
    found = [int(good[np.nanargmin(np.abs(cube.wavelengths[good] - wanted))]) for wanted in nm]
    far = [
        f"no usable band near {wanted:g} nm: {cube.wavelengths[band]:.0f} nm is shown"
        for wanted, band in zip(nm, found, strict=True)
        if abs(cube.wavelengths[band] - wanted) > FAR_NM
    ]
    return Choice(_triple(found), tuple(far))


def bands_numbered(cube: Cube, numbers: Sequence[int]) -> Choice:
    """The usable bands nearest to three band numbers."""
    good = usable(cube)
    return Choice(_triple([int(good[np.argmin(np.abs(good - number))]) for number in numbers]))


def stretch(cube: Cube, bands: Triple, percent: float, together: bool) -> Limits:
    """Limits that leave out the darkest and the brightest `percent` of a sample of pixels.

    Args:
        together: one range for all three, so that the proportions of the colours stay. Each still begins at its own
            dark end, which takes haze away (dark-object subtraction: Chavez 1988, Remote Sensing of Environment 24).
    """
    limits = np.array([_band_limits(cube, band, percent) for band in bands])
    if together:
        limits[:, 1] = limits[:, 0] + np.ptp(limits, axis=1).max()
    return limits


def render(cube: Cube, bands: Triple, limits: Limits, stopped: Callable[[], bool] = lambda: False) -> Picture:
    """The picture, read in strips as high as the cube's own chunks.

    Raises:
        Cancelled: `stopped` said so between two strips.
    """
    step = _step(cube.shape_yx)
    height, width = cube.shape_yx
    columns = slice(step // 2, None, step)
    shape = len(range(height)[columns]), len(range(width)[columns])
    image = np.empty((*shape, 4), np.uint8)
    low, high = limits.T.astype(np.float32)
    start = row = 0
    for rows in cube.data.chunks[1]:
        if stopped():
            raise Cancelled
        wanted = range(start, start + int(rows))[(step // 2 - start) % step :: step]
        start += int(rows)
        if not wanted:
            continue
        lines = slice(wanted[0], wanted[-1] + 1, step)
        values = np.stack([_read(cube, band, lines, columns) for band in bands])
        known = np.isfinite(values).all(axis=0)
        scaled = (np.where(known, values, low[:, None, None]) - low[:, None, None]) / (high - low)[:, None, None]
        part = image[row : row + len(wanted)]
        part[..., :3] = np.moveaxis(np.rint(255 * scaled.clip(0, 1)), 0, -1)
        part[..., 3] = np.where(known, 255, 0)
        row += len(wanted)
    return Picture(image, step)


def _triple(bands: Sequence[int]) -> Triple:
    red, green, blue = bands
    return red, green, blue


def _band_limits(cube: Cube, band: int, percent: float) -> tuple[float, float]:
    known = _known.setdefault(cube, {})
    if (band, percent) not in known:
        known[band, percent] = _percentiles(_sample(cube, band), percent)
    return known[band, percent]


_known: WeakKeyDictionary[Cube, dict[tuple[int, float], tuple[float, float]]] = WeakKeyDictionary()
"""What samples told of a cube's bands: a slider comes back to the same bands."""


def _sample(cube: Cube, band: int) -> Float32:
    """Values ``(n,)``: all of a small image, windows all over a large one, whatever way it is stored."""
    height, width = cube.shape_yx
    if height * width <= (WINDOW * WINDOWS) ** 2:
        return _read(cube, band, slice(None), slice(None)).ravel()
    windows = [(slice(y, y + WINDOW), slice(x, x + WINDOW)) for y in _starts(height) for x in _starts(width)]
    return np.concatenate([_read(cube, band, *window).ravel() for window in windows])


def _read(cube: Cube, band: int, rows: slice, columns: slice) -> Float32:
    """Values ``(h, w)`` of a band, NaN where nothing was measured; sliced once, which is all that the file reads."""
    one = slice(band, band + 1)
    return Cube(cube.data[one, rows, columns], bad=cube.bad[one], nodata=cube.nodata).read()[0]


def _starts(size: int) -> list[int]:
    return [max(0, int((k + 0.5) * size / WINDOWS) - WINDOW // 2) for k in range(WINDOWS)]


def _percentiles(values: Float32, percent: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (percent, 100 - percent)).tolist()
    return (low, high) if high > low else (low, low + 1.0)


def _step(shape_yx: tuple[int, int]) -> int:
    """The least odd step between pixels that keeps the picture small enough; an odd one has a middle."""
    step = 1
    while (shape_yx[0] // step) * (shape_yx[1] // step) > LARGEST:
        step += 2
    return step

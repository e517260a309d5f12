"""Pictures of a result: before and after, how large the error bars are, what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.composite import TRUE_COLOUR
from hsimisr.cube import Cube
from hsimisr.physics.types import Estimate, Float32
from hsimisr.report.png import Pixels

NEAR_NM = 40.0
"""How far from those a band may lie to stand for red, green or blue."""
STRETCH = (2, 98)
"""Percentiles that become black and white."""
NOTHING = (120, 120, 130)
"""Colour of pixels without a value."""
RAMP = np.array([(18, 12, 60), (70, 30, 120), (150, 50, 120), (225, 95, 75), (250, 170, 60), (252, 245, 170)], float)
"""Dark for low values, light for high ones."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with the words that go with it."""

    pixels: Pixels
    title: str
    caption: str


def pictures_of(estimate: Estimate, reference: Cube, product: str) -> Iterator[Picture]:
    """What there is to see of an estimate, called `product`; reads the same part of the reference frame."""
    bands, words = bands_to_show(reference, estimate)
    before = reference.read(estimate.grid.view)[bands]
    after = estimate.bands(bands)
    limits = _limits(after)
    size = "{} × {} pixels".format
    yield Picture(_colours(before, limits), "Before", f"{reference.name}: {size(*before.shape[1:])}, {words}")
    yield Picture(_colours(after, limits), "After", f"{product}: {size(*after.shape[1:])}, same bands and colours")
    if estimate.variance is not None:
        band = int(bands[0])
        bars = estimate.std(np.array([band]))[0] / np.maximum(np.abs(after[0]), 1e-12) * 100
        high = _high(bars)
        told = f"one standard deviation of {_name(reference, band)}, percent of the value, 0 (dark) to {high:.3g} %"
        yield Picture(ramp(bars / high), "Error bars", told)
    for title, image, meaning in (
        ("Measured or inferred", estimate.determined, "share of the detail that the frames determine"),
        ("Learned stage followed", estimate.learned, "how far the cube follows the learned stage"),
    ):
        if image is not None:
            yield Picture(ramp(image), title, f"{meaning}, 0 (dark) to 1; mean {np.nanmean(image):.0%}")


def bands_to_show(cube: Cube, estimate: Estimate) -> tuple[npt.NDArray[np.intp], str]:
    """Bands for red, green and blue, or one for grey, among those that hold data; and their names."""
    good = np.flatnonzero(~(estimate.subspace.bad | cube.bad))
    if len(good) < 3:
        return good[:1], _name(cube, int(good[0]))
    if cube.wavelengths is not None:
        distance = np.abs(cube.wavelengths[good][None] - np.array(TRUE_COLOUR.nm)[:, None])
        nearest = good[distance.argmin(1)]
        if distance.min(1).max() <= NEAR_NM and len(set(nearest.tolist())) == 3:
            return nearest, "natural colours, " + ", ".join(_name(cube, int(band)) for band in nearest)
    spread = good[[5 * len(good) // 6, len(good) // 2, len(good) // 6]]
    return spread, "false colours, " + ", ".join(_name(cube, int(band)) for band in spread)


def ramp(values: Float32) -> Pixels:
    """Colours ``(h, w, 3)`` of values ``(h, w)`` from 0 to 1, beyond which they stay the same."""
    place = np.clip(np.nan_to_num(values), 0, 1) * (len(RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(RAMP)), RAMP[:, channel]) for channel in range(3)], -1)
    colours[~np.isfinite(values)] = NOTHING
    return np.rint(colours).astype(np.uint8)


def _colours(bands: Float32, limits: tuple[Float32, Float32]) -> Pixels:
    low, high = (limit[:, None, None] for limit in limits)
    unit = np.clip((bands - low) / (high - low), 0, 1)
    pixels = np.rint(np.nan_to_num(unit) * 255).astype(np.uint8)
    image = np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1).copy()
    image[~np.isfinite(unit).all(0)] = NOTHING
    return image


def _limits(bands: Float32) -> tuple[Float32, Float32]:
    """Values ``(n,)`` that become black and white."""
    low, high = np.nanpercentile(bands.reshape(len(bands), -1), STRETCH, axis=1).astype(np.float32)
    return low, np.where(high > low, high, low + 1)


def _high(values: Float32) -> float:
    finite = values[np.isfinite(values)]
    high = float(np.percentile(finite, STRETCH[1])) if finite.size else 0.0
    return high if high > 0 else 1.0


def _name(cube: Cube, band: int) -> str:
    return f"band {band}" if cube.wavelengths is None else f"band {band} ({cube.wavelengths[band]:.0f} nm)"

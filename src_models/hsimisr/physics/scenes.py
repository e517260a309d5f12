"""Synthetic scenes: a small town between fields and a river, with a resolution chart, in any number of bands.

The map of materials is drawn four times finer than the scene and averaged, so that pixels at edges are mixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hsimisr.errors import ConfigError
from hsimisr.physics.materials import atmosphere, reflectances, sensor_bands

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FINE = 4  # drawn pixels per scene pixel, along one axis
SMALLEST_SCENE = 64
LETTERS = (  # "HSI", five by seven
    "1000100111101110",
    "1000101000000100",
    "1000101000000100",
    "1111100111000100",
    "1000100000100100",
    "1000100000100100",
    "1000101111001110",
)


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene and what it is made of.

    Attributes:
        cube: apparent reflectance at the sensor ``(B, Y, X)``, about 0 to 1.
        wavelengths: band centres ``(B,)``, nanometres.
        abundances: part of each pixel that each material covers ``(P, Y, X)``; they add up to 1.
        spectra: apparent reflectance of the materials ``(P, B)``.
        names: of the materials.
    """

    cube: npt.NDArray[np.float32]
    wavelengths: Array
    abundances: npt.NDArray[np.float32]
    spectra: Array
    names: tuple[str, ...]


def town(shape: tuple[int, int] = (128, 128), bands: int = 64, seed: int = 0) -> Scene:
    """Draw a scene; the same arguments give the same scene.

    Args:
        shape: pixels ``(Y, X)``, at least 64 each.
        bands: number of bands between 420 and 2440 nm.
        seed: of the layout and the textures.

    Raises:
        ConfigError: the scene is too small to draw, or has no bands.
    """
    if min(shape) < SMALLEST_SCENE or bands < 1:
        raise ConfigError(
            f"a scene of {shape[0]} x {shape[1]} pixels and {bands} bands cannot be drawn; "
            f"it takes {SMALLEST_SCENE} x {SMALLEST_SCENE} pixels and one band"
        )
    rng = np.random.default_rng(seed)
    wavelengths = sensor_bands(bands)
    library = reflectances(wavelengths)
    names = tuple(library)
    materials = _Map(shape, names)
    _draw_fields(materials, rng)
    _draw_river(materials, rng)
    _draw_streets_and_houses(materials, rng)
    _draw_trees(materials, rng)
    _draw_chart(materials)

    abundances = materials.abundances()
    transmittance, path = atmosphere(wavelengths)
    ground = np.stack([library[name] for name in names])
    light = _texture(rng, shape, 0.10) * _texture(rng, shape, 0.06, roughness=1.0)
    mixed = np.tensordot(ground.T, abundances * light, axes=1)
    cube = transmittance[:, None, None] * mixed + path[:, None, None]
    return Scene(
        cube.astype(np.float32), wavelengths, abundances.astype(np.float32), transmittance * ground + path, names
    )


class _Map:
    """A drawing of materials on a grid `FINE` times finer than the scene; lengths are in scene pixels."""

    def __init__(self, shape: tuple[int, int], names: tuple[str, ...]) -> None:
        self.names = names
        self.shape = shape
        self.y, self.x = ((np.indices((shape[0] * FINE, shape[1] * FINE)) + 0.5) / FINE).astype(float)
        self.label = np.zeros(self.y.shape, np.uint8)

    def paint(self, where: Mask, name: str) -> None:
        self.label[where] = self.names.index(name)

    def is_made_of(self, name: str) -> Mask:
        return np.asarray(self.label == self.names.index(name))

    def rectangle(self, centre: tuple[float, float], size: tuple[float, float], angle: float = 0.0) -> Mask:
        """A rectangle of `size` (along, across), turned by `angle` radians."""
        dy, dx = self.y - centre[0], self.x - centre[1]
        along, across = dy * np.sin(angle) + dx * np.cos(angle), dy * np.cos(angle) - dx * np.sin(angle)
        return np.asarray((np.abs(along) < size[0] / 2) & (np.abs(across) < size[1] / 2))

    def disc(self, centre: tuple[float, float], radius: float) -> Mask:
        return np.asarray((self.y - centre[0]) ** 2 + (self.x - centre[1]) ** 2 < radius**2)

    def abundances(self) -> Array:
        """Share of each material in every scene pixel ``(P, Y, X)``."""
        cells = self.label.reshape(self.shape[0], FINE, self.shape[1], FINE)
        return np.stack([(cells == index).mean((1, 3)) for index in range(len(self.names))])


def _draw_fields(m: _Map, rng: np.random.Generator) -> None:
    """Parcels (cells of random sites, stretched), some of them ploughed in rows."""
    height, width = m.shape
    sites = rng.uniform(0, 1, (14, 2)) * (height, width)
    distance = np.stack([np.abs(m.y - y) * 1.6 + np.abs(m.x - x + 0.4 * (m.y - y)) for y, x in sites])
    parcel = distance.argmin(0)
    for index in range(len(sites)):
        crop = rng.choice(["green leaves", "dry grass", "soil"], p=[0.45, 0.3, 0.25])
        m.paint(parcel == index, crop)
        if rng.random() < 0.45:
            angle, period = rng.uniform(0, np.pi), rng.uniform(3.0, 7.0)
            rows = np.sin(2 * np.pi * (m.y * np.cos(angle) + m.x * np.sin(angle)) / period) > 0.35
            m.paint((parcel == index) & rows, "soil" if crop != "soil" else "green leaves")


def _draw_river(m: _Map, rng: np.random.Generator) -> None:
    phase = rng.uniform(0, 2 * np.pi)
    middle = 0.16 * m.shape[1] + 0.05 * m.shape[1] * np.sin(2 * np.pi * m.y / m.shape[0] * 1.3 + phase)
    m.paint(np.abs(m.x - middle) < 0.045 * m.shape[1] + 1.2, "soil")
    m.paint(np.abs(m.x - middle) < 0.045 * m.shape[1], "water")


def _draw_streets_and_houses(m: _Map, rng: np.random.Generator) -> None:
    """A grid of streets, slightly turned, one of them crossing the river, lined with houses and cars."""
    height, width = m.shape
    angle = rng.uniform(0.05, 0.2)
    along = m.x * np.cos(angle) + m.y * np.sin(angle)
    across = m.y * np.cos(angle) - m.x * np.sin(angle)
    in_town = (m.x > 0.30 * width) & (m.y > 0.30 * height)
    streets = np.arange(0.42, 1.3, 0.22) * height
    for street in streets:
        m.paint((np.abs(across - street) < 1.6) & (in_town | (street == streets[0])), "asphalt")
    for lane in np.arange(0.36, 1.4, 0.24) * width:
        m.paint((np.abs(along - lane) < 1.1) & in_town, "asphalt")

    def on_street(along: float, across: float) -> tuple[float, float]:
        return across * np.cos(angle) + along * np.sin(angle), along * np.cos(angle) - across * np.sin(angle)

    for street in streets:
        for side in (-1, 1):
            position = 0.33 * width
            while position < 1.15 * width:
                length, depth = rng.uniform(4, 10), rng.uniform(4, 7)
                centre = on_street(position + length / 2, street + side * (3.6 + depth / 2))
                house = m.rectangle(centre, (length, depth), angle)
                if in_town[house].all() and not m.is_made_of("asphalt")[house].any():
                    roofs = ["roof tiles", "concrete", "white roof", "blue paint"]
                    m.paint(house, str(rng.choice(roofs, p=[0.5, 0.22, 0.18, 0.1])))
                position += length + rng.uniform(1.2, 3.5)
            for _ in range(4):
                car = m.rectangle(on_street(rng.uniform(0.33, 1.0) * width, street + side * 0.8), (2.0, 0.9), angle)
                m.paint(car & in_town, str(rng.choice(["white roof", "blue paint"])))


def _draw_trees(m: _Map, rng: np.random.Generator) -> None:
    for _ in range(m.shape[0] * m.shape[1] // 350):
        centre = (rng.uniform(0, m.shape[0]), rng.uniform(0, m.shape[1]))
        crown = m.disc(centre, rng.uniform(0.8, 2.6))
        m.paint(crown & ~m.is_made_of("water") & ~m.is_made_of("asphalt"), "green leaves")


def _draw_chart(m: _Map) -> None:
    """A plaza with a fan of wedges, bars of falling width, lettering, and four small mineral targets."""
    height, width = m.shape
    top, left, side = 0.09 * height, 0.32 * width, 0.24 * min(height, width)
    m.paint(m.rectangle((top + side / 2, left + 1.2 * side), (2.4 * side, side)), "concrete")
    y, x = top + side / 2, left + side / 2
    fan = np.sin(12 * np.arctan2(m.y - y, m.x - x)) > 0
    disc = m.disc((y, x), 0.45 * side)
    m.paint(disc & fan, "white roof")
    m.paint(disc & ~fan, "asphalt")

    bar_x = left + 1.1 * side
    for pitch in (5.0, 4.0, 3.0, 2.5):
        in_block = (m.y > top + 0.1 * side) & (m.y < top + 0.42 * side) & (m.x > bar_x) & (m.x < bar_x + 2 * pitch)
        m.paint(in_block & ((m.x - bar_x) % pitch < pitch / 2), "asphalt")
        bar_x += 2 * pitch + 1.0

    cell = 1.15 * side / len(LETTERS[0])
    for row, line in enumerate(LETTERS):
        for column, dot in enumerate(line):
            if dot == "1":
                centre = (top + 0.55 * side + (row + 0.5) * cell * 0.8, left + 1.1 * side + (column + 0.5) * cell)
                m.paint(m.rectangle(centre, (cell, cell * 0.8)), "roof tiles")
    for index, radius in enumerate((1.6, 1.1, 0.8, 0.55)):
        m.paint(m.disc((top + 1.15 * side, left + (0.2 + 0.3 * index) * side), radius), "alunite")


def _texture(rng: np.random.Generator, shape: tuple[int, int], contrast: float, roughness: float = 6.0) -> Array:
    """Smooth variation of brightness about 1 with a standard deviation of `contrast`."""
    noise = gaussian_filter(rng.standard_normal(shape), roughness)
    return np.asarray(1 + contrast * (noise - noise.mean()) / noise.std())

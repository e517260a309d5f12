"""Reflectance spectra of common materials, and the air above them, built from formulae.

Nothing here was measured: continua are smooth curves, absorptions are Gaussian dips at the places where the minerals,
pigments and gases have theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Dips = tuple[tuple[float, float, float], ...]

# centre nm, width nm (standard deviation), depth
LEAF_WATER: Dips = ((970, 30, 0.10), (1200, 45, 0.22), (1450, 70, 0.75), (1940, 90, 0.85), (2500, 200, 0.6))
CLAY: Dips = ((2205, 25, 0.18), (1415, 25, 0.10), (1915, 40, 0.15))
CARBONATE: Dips = ((2335, 30, 0.15),)
ALUNITE: Dips = ((2165, 22, 0.35), (2320, 25, 0.15), (1480, 25, 0.18), (1765, 20, 0.12))
IRON_OXIDE: Dips = ((530, 45, 0.45), (860, 70, 0.18))
PLASTIC: Dips = ((1730, 25, 0.25), (2310, 35, 0.35), (1210, 20, 0.08))
# oxygen, water vapour, carbon dioxide, and the broad Chappuis band of ozone
GASES: Dips = (
    (688, 3, 0.25), (762, 4, 0.60), (820, 10, 0.12), (940, 18, 0.45), (1130, 22, 0.50), (1375, 45, 0.98),
    (1880, 55, 0.99), (2010, 15, 0.35), (2060, 15, 0.25), (600, 50, 0.06),
)  # fmt: skip
OPAQUE = ((1340.0, 1460.0), (1790.0, 1960.0))  # nm, where water vapour lets nothing through


def reflectances(wavelengths: npt.ArrayLike) -> dict[str, Array]:
    """Reflectance ``(B,)``, 0 to 1, of each material at `wavelengths` in nanometres (400 to 2500)."""
    nm = np.asarray(wavelengths, float)
    return {name: np.asarray(formula(nm), float) for name, formula in _FORMULAE.items()}


def atmosphere(wavelengths: npt.ArrayLike) -> tuple[Array, Array]:
    """Two-way transmittance and path reflectance ``(B,)`` of a clear sky."""
    nm = np.asarray(wavelengths, float)
    rayleigh = 0.09 * (nm / 450) ** -4.0
    haze = 0.012 * (nm / 550) ** -1.3
    return _dipped(GASES, nm) * np.exp(-1.9 * (rayleigh + haze)), rayleigh + haze


def sensor_bands(count: int, first: float = 420.0, last: float = 2440.0) -> Array:
    """`count` band centres in nanometres, denser below 1000 nm, none where the air is opaque."""
    fine = np.linspace(first, last, 4000)
    density = np.where(fine < 1000, 2.0, 1.0)
    for low, high in OPAQUE:
        density[(fine > low) & (fine < high)] = 0.0
    position = np.cumsum(density)
    return np.interp(np.linspace(position[0], position[-1], count), position, fine)


def _dipped(dips: Dips, nm: Array) -> Array:
    """Product of Gaussian absorptions."""
    centre, width, depth = (np.asarray(column)[:, None] for column in zip(*dips, strict=True))
    return np.asarray(np.prod(1 - depth * np.exp(-0.5 * ((nm - centre) / width) ** 2), axis=0))


def _step(nm: Array, at: float, width: float) -> Array:
    return np.asarray(1 / (1 + np.exp(-(nm - at) / width)))


def _green_leaves(nm: Array) -> Array:
    pigments = 0.035 + 0.075 * np.exp(-0.5 * ((nm - 552) / 32) ** 2)
    return (pigments + 0.45 * _step(nm, 716, 13)) * _dipped(LEAF_WATER, nm) * (1 - 0.45 * _step(nm, 1850, 350))


def _dry_grass(nm: Array) -> Array:
    lignin: Dips = ((2100, 50, 0.15), (2310, 40, 0.12), (1200, 40, 0.05))
    return (0.06 + 0.42 * (1 - np.exp(-(nm - 380) / 420))) * _dipped(lignin, nm)


def _soil(nm: Array) -> Array:
    return (0.05 + 0.33 * (1 - np.exp(-(nm - 390) / 650))) * _dipped(CLAY, nm) * _dipped(((870, 80, 0.06),), nm)


def _water(nm: Array) -> Array:
    return 0.01 + 0.055 * np.exp(-0.5 * ((nm - 520) / 110) ** 2)


def _asphalt(nm: Array) -> Array:
    return 0.055 + 0.06 * (nm - 400) / 2000


def _concrete(nm: Array) -> Array:
    return (0.16 + 0.20 * (1 - np.exp(-(nm - 380) / 350))) * _dipped(CARBONATE, nm) * _dipped(((1930, 60, 0.1),), nm)


def _roof_tiles(nm: Array) -> Array:
    return (0.06 + 0.36 * _step(nm, 590, 28)) * _dipped(IRON_OXIDE, nm) * _dipped(CLAY, nm)


def _white_roof(nm: Array) -> Array:
    return 0.68 * _step(nm, 405, 10) * (1 - 0.25 * _step(nm, 1500, 400)) * _dipped(PLASTIC, nm)


def _blue_paint(nm: Array) -> Array:
    hue = 0.08 + 0.30 * np.exp(-0.5 * ((nm - 460) / 45) ** 2) + 0.30 * _step(nm, 840, 30)
    return hue * (1 - 0.3 * _step(nm, 1500, 300)) * _dipped(PLASTIC, nm)


def _alunite(nm: Array) -> Array:
    return (0.35 + 0.25 * (1 - np.exp(-(nm - 380) / 250))) * _dipped(ALUNITE, nm)


_FORMULAE: dict[str, Callable[[Array], Array]] = {
    "green leaves": _green_leaves,
    "dry grass": _dry_grass,
    "soil": _soil,
    "water": _water,
    "asphalt": _asphalt,
    "concrete": _concrete,
    "roof tiles": _roof_tiles,
    "white roof": _white_roof,
    "blue paint": _blue_paint,
    "alunite": _alunite,
}

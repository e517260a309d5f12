"""Scenes drawn at random: sharp-edged objects on smooth mixtures, of materials with realistic spectra, unevenly lit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hsimisr.physics.materials import atmosphere, reflectances, sensor_bands
from hsimisr.training.dead_leaves import Leaves, dead_leaves

Array = npt.NDArray[np.float64]
FINE = 3
"""Drawn pixels per scene pixel, along one axis: pixels at edges are mixed."""


def draw_scene(side: int, bands: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Apparent reflectance ``(B, side, side)`` of a scene."""
    spectra = draw_spectra(int(rng.integers(5, 17)), bands, rng)
    ground = _mixtures(len(spectra), side, rng)
    if rng.random() < 0.85:
        ground = _cover(ground, rng)
    light = 1 + rng.uniform(0, 0.15) * fractal((1, side, side), rng.uniform(2.5, 3.5), rng)[0]
    slope = rng.normal(0, 0.1, 2)
    y, x = np.linspace(-0.5, 0.5, side)[:, None], np.linspace(-0.5, 0.5, side)[None, :]
    light = np.clip(light + slope[0] * y + slope[1] * x, 0.2, None)
    cube = np.tensordot(spectra.T, ground * light, axes=1)
    cube = gaussian_filter(cube, (0, *[rng.uniform(0, 0.6)] * 2), mode="nearest")
    return np.asarray(cube, dtype=np.float32)


def draw_spectra(count: int, bands: int, rng: np.random.Generator) -> Array:
    """Spectra ``(count, B)`` at the sensor: mixtures of known materials, each varied smoothly, under an atmosphere."""
    first, last = rng.uniform(400, 450), rng.choice([880.0, 1000.0, 1700.0, 2440.0])
    wavelengths = sensor_bands(bands, first, last)
    library = np.stack(list(reflectances(wavelengths).values()))
    spectra = rng.dirichlet(np.full(len(library), 0.15), count) @ library
    phase = np.linspace(0, np.pi, bands)
    waves = np.cos(np.arange(5)[:, None] * phase)
    variation = rng.normal(0, 1, (count, 5)) * [0.3, 0.15, 0.1, 0.06, 0.04] @ waves
    transmittance, path = atmosphere(wavelengths)
    return np.asarray(spectra * np.exp(variation) * transmittance + path * rng.uniform(0, 1))


def fractal(shape: tuple[int, int, int], exponent: float, rng: np.random.Generator) -> Array:
    """Random fields ``(n, Y, X)`` whose power falls as frequency to the minus `exponent`; mean 0, variance 1."""
    height, width = shape[1:]
    # twice the size, so that what is cut out does not wrap around
    fy, fx = np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width)[None, :]
    radius = np.maximum(np.hypot(fy, fx), 1 / (2 * max(height, width)))
    spectrum = np.fft.rfft2(rng.standard_normal((shape[0], 2 * height, 2 * width))) * radius ** (-exponent / 2)
    field = np.fft.irfft2(spectrum, s=(2 * height, 2 * width))[:, :height, :width]
    field -= field.mean((1, 2), keepdims=True)
    return np.asarray(field / np.maximum(field.std((1, 2), keepdims=True), 1e-12))


def _mixtures(materials: int, side: int, rng: np.random.Generator) -> Array:
    """Smooth abundances ``(P, side, side)`` that add up to 1: the softmax of fractal fields."""
    fields = fractal((materials, side, side), rng.uniform(1.8, 3.2), rng)
    weights = np.exp(rng.uniform(0.5, 6.0) * (fields + rng.normal(0, 0.7, (materials, 1, 1))))
    return np.asarray(weights / weights.sum(0))


def _cover(ground: Array, rng: np.random.Generator) -> Array:
    """Lay objects of one material each on the ground; each has a brightness and perhaps a texture of its own."""
    materials, side = ground.shape[:2]
    size = side * FINE
    smallest = FINE * rng.uniform(0.5, 1.5)
    largest = size * rng.uniform(0.05, 0.4)
    # r^-3 objects of this number leave a random part of the ground bare
    mean_area = 2.0 * np.log(largest / smallest) * smallest**2 * np.pi * 0.7
    count = int(np.clip(rng.uniform(0.2, 3.0) * size**2 / mean_area, 20, 4000))
    labels = dead_leaves((size, size), Leaves(count, smallest, largest, rng.uniform(0, 0.1)), rng)
    material = rng.integers(0, materials, count + 1)
    brightness = np.exp(rng.normal(0, rng.uniform(0.05, 0.4), count + 1))
    brightness[0] = 0.0
    cell = np.arange(size) // FINE
    pixel = cell[:, None] * side + cell[None, :]
    place = material[labels] * side**2 + pixel
    leaves = np.bincount(place.ravel(), brightness[labels].ravel(), materials * side**2) / FINE**2
    bare = np.bincount(pixel.ravel(), (labels == 0).ravel(), side**2) / FINE**2
    texture = 1 + rng.uniform(0, 0.2) * fractal((materials, side, side), rng.uniform(0.8, 2.0), rng)
    covered = leaves.reshape(ground.shape) * np.clip(texture, 0.1, None)
    return np.asarray(covered + ground * bare.reshape(side, side))

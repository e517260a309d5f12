"""Synthetic scenes are made of what they say they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import ConfigError
from hsimisr.physics.materials import OPAQUE, atmosphere, reflectances, sensor_bands
from hsimisr.physics.scenes import town


@pytest.fixture(scope="module")
def scene():
    return town((96, 80), bands=40, seed=5)


def test_abundances_are_shares_and_some_pixels_are_mixed(scene):
    # multiples of 1/16 in float32: their sum is exact
    assert (scene.abundances.sum(0) == 1).all()
    assert scene.abundances.min() == 0
    mixed = (scene.abundances.max(0) < 1).mean()
    assert 0.1 < mixed < 0.6


def test_every_material_is_there(scene):
    assert dict(zip(scene.names, scene.abundances.max((1, 2)) > 0, strict=True)) == dict.fromkeys(scene.names, True)


def test_pixels_are_mixtures_of_the_materials_times_one_brightness(scene):
    path = atmosphere(scene.wavelengths)[1][:, None, None]
    even_light = np.tensordot(scene.spectra.T - path[..., 0], scene.abundances.astype(float), axes=1)
    light = (scene.cube - path) / even_light
    # a value near 0.01 is left when two float32 numbers near 0.1 are subtracted
    assert np.ptp(light, axis=0).max() < 100 * np.finfo(np.float32).eps
    assert light.std() > 0.05


def test_vegetation_has_a_red_edge_and_clay_its_dip():
    leaves, soil = (reflectances([670.0, 800.0, 2150.0, 2205.0, 2260.0])[name] for name in ("green leaves", "soil"))
    assert leaves[1] > 5 * leaves[0]
    assert soil[3] < 0.95 * min(soil[2], soil[4])


def test_reflectances_are_reflectances():
    for spectrum in reflectances(np.arange(400.0, 2501.0)).values():
        assert spectrum.min() > 0
        assert spectrum.max() < 1


def test_bands_avoid_the_opaque_windows():
    bands = sensor_bands(120)
    assert (np.diff(bands) > 0).all()
    for low, high in OPAQUE:
        assert not ((bands > low + 1) & (bands < high - 1)).any()


def test_same_seed_same_scene(scene):
    assert np.array_equal(town((96, 80), bands=40, seed=5).cube, scene.cube)
    assert not np.array_equal(town((96, 80), bands=40, seed=6).cube, scene.cube)


def test_tiny_scenes_are_refused():
    with pytest.raises(ConfigError, match="64 x 64"):
        town((40, 80))

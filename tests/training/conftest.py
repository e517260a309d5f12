"""Small recipes, and a folder of cubes to train on."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.io.write import write_cube
from hsimisr.physics.scenes import town
from hsimisr.training.recipe import Recipe

TINY = {
    "scenes": {"real": 0.5, "files": ["town-*"], "bands": [12, 16]},
    "situations": {"scales": {2: 1.0}, "frames": [1, 3], "patches": [16], "affine": 0.0, "iterations": 10},
    "network": {"width": 8, "blocks": 1, "stages": 1, "evidence": 4, "groups": 2},
    "optimise": {"steps": 4, "batch": 2, "reuse": 2, "pool": 2, "warmup": 1},
    "validation": {"files": ["village"], "samples": 2, "every": 2},
}


@pytest.fixture
def tiny():
    """A recipe that trains in seconds; keywords replace knobs of its parts."""

    def build(**changes):
        return Recipe.model_validate({**TINY, **{part: {**TINY[part], **knobs} for part, knobs in changes.items()}})

    return build


@pytest.fixture(scope="session")
def cubes(tmp_path_factory):
    """A folder with three cubes."""
    folder = tmp_path_factory.mktemp("cubes")
    for seed, name in enumerate(("town-a", "town-b", "village")):
        scene = town((72, 80), bands=20, seed=seed)
        bad = np.arange(20) == 3
        write_cube(folder / f"{name}.npz", Cube.from_array(scene.cube, wavelengths=scene.wavelengths, bad=bad))
    return folder

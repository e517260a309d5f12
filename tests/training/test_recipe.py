"""Recipes, those of the package included."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from pydantic import ValidationError

from hsimisr.errors import ConfigError
from hsimisr.training.recipe import Recipe

SHIPPED = ("refiner", "refiner-fold-a", "refiner-fold-b", "refiner-synthetic", "denoiser", "student")
FLIGHTS = (
    ("abu-airport-1", "abu-airport-2", "abu-airport-3", "abu-urban-4", "abu-urban-5"),  # AVIRIS, Los Angeles
    ("abu-urban-1", "abu-urban-2"),  # AVIRIS, Texas coast
    ("cave-balloons", "cave-balloons-512"),  # one scene
    ("cave-cloth",), ("cave-feathers",), ("enmap-potsdam",), ("jasper-ridge",), ("pavia-centre",), ("salinas-a",),
    ("samson",),
)  # fmt: skip


def seen(recipe):
    """Cubes that a recipe trains or validates on."""
    patterns = (*(recipe.scenes.files if recipe.scenes.real > 0 else ()), *recipe.validation.files)
    return {stem for flight in FLIGHTS for stem in flight if any(fnmatch(stem, pattern) for pattern in patterns)}


@pytest.mark.parametrize("name", SHIPPED)
def test_recipes_of_the_package_are_whole(name):
    recipe = Recipe.load(name)
    assert Recipe.load(f"{name}.yaml") == recipe
    assert Recipe.model_validate(recipe.dump()) == recipe


def test_the_folds_share_no_flight_and_together_see_everything():
    a, b = seen(Recipe.load("refiner-fold-a")), seen(Recipe.load("refiner-fold-b"))
    assert not a & b
    assert a | b == {stem for flight in FLIGHTS for stem in flight}
    for flight in FLIGHTS:
        assert set(flight) <= a or set(flight) <= b


def test_no_real_cube_takes_part_in_the_synthetic_recipe():
    assert not seen(Recipe.load("refiner-synthetic"))


def test_mistakes_are_told_with_the_knob(tmp_path):
    with pytest.raises(ConfigError, match=r"refiner-synthetic"):
        Recipe.load("nothing-like-that")
    path = tmp_path / "own.yaml"
    path.write_text("optimise: {steps: 0}")
    with pytest.raises(ConfigError, match=r"optimise\.steps"):
        Recipe.load(str(path))
    path.write_text("optimise: [")
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        Recipe.load(str(path))


@pytest.mark.parametrize(
    "knobs",
    [
        {"snr": (40, 20)},
        {"frames": (0, 4)},
        {"frames": (5, 4)},
        {"patches": (12,)},
        {"scales": {}},
        {"scales": {9: 1.0}},
        {"psf": {"disc": 1.0}},
        {"psf": {"box": -1.0}},
    ],
)
def test_situations_that_cannot_be_are_refused(knobs):
    with pytest.raises(ValidationError):
        Recipe.model_validate({"situations": knobs})

"""Weights come back from a file as they were, and files that hold none are told."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from hsimisr.errors import ReadError
from hsimisr.networks.denoiser import DenoiserShape
from hsimisr.networks.refiner import Refiner, RefinerShape, Support
from hsimisr.networks.weights import (
    SHIPPED,
    SHIPPED_DENOISER,
    SHIPPED_STUDENT,
    SINGLE_FRAME,
    load_denoiser,
    load_refiner,
    read_provenance,
    save_network,
)
from hsimisr.training.recipe import Recipe

SHAPE = RefinerShape(width=8, blocks=1, stages=3, evidence=4, groups=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def test_weights_shape_and_provenance_come_back(path):
    torch.manual_seed(0)
    refiner = Refiner(SHAPE)
    save_network(refiner, path, {"recipe": {"seed": 3}})
    found = load_refiner(path)
    assert found.shape == SHAPE
    assert not found.training
    for (name, expected), value in zip(refiner.named_parameters(), found.parameters(), strict=True):
        assert torch.equal(expected, value), name
    assert read_provenance(path) == {"recipe": {"seed": 3}}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_supports_single_frames_comes_back(path):
    support = Support(0.75, 0.3, -0.02, 16)
    save_network(Refiner(SHAPE), path, {SINGLE_FRAME: asdict(support)})
    assert load_refiner(path).support == support
    save_network(Refiner(SHAPE), path, {SINGLE_FRAME: None})
    assert load_refiner(path).support is None


def test_files_without_weights_are_told(path):
    with pytest.raises(ReadError, match="check the path"):
        load_refiner(path)
    path.write_bytes(b"no weights")
    with pytest.raises(ReadError, match="cannot be read"):
        load_refiner(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ReadError, match="no weights"):
        load_refiner(path)
    with pytest.raises(ReadError, match="tells nothing"):
        read_provenance(path)


def test_weights_of_another_network_are_refused(path):
    tensors = {name: value.detach() for name, value in Refiner(SHAPE).named_parameters()}
    shape = SHAPE.model_copy(update={"width": 16})
    save_file(tensors, path, {"shape": shape.model_dump_json(), "provenance": json.dumps({})})
    with pytest.raises(ReadError, match="train them again"):
        load_refiner(path)


@pytest.mark.parametrize(
    ("path", "load", "shape"),
    [
        (SHIPPED, load_refiner, RefinerShape()),
        (SHIPPED_DENOISER, load_denoiser, DenoiserShape()),
        (SHIPPED_STUDENT, load_denoiser, DenoiserShape(role="student")),
    ],
)
def test_the_weights_that_come_along_can_be_made_again(path, load, shape):
    """They load, and tell the recipe in the package that made them."""
    assert load(path).shape == shape
    told = read_provenance(path)
    assert Recipe.model_validate(told["recipe"]) == Recipe.load(path.stem)
    assert told["trained_on"] == []
    assert path.with_suffix(".md").read_text().startswith(f"# {path.stem.capitalize()} weights")

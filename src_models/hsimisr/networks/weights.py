"""Weights of a network in a file, with the shape they belong to and where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hsimisr.errors import ReadError
from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.networks.refiner import Refiner, RefinerShape, Support

SHAPE = "shape"
PROVENANCE = "provenance"
SINGLE_FRAME = "single_frame"
"""In the provenance: what supports the refiner where a single frame leaves nothing to judge by."""
Network = Refiner | Denoiser
N = TypeVar("N", Refiner, Denoiser)
TRAINED = Path(str(files(__package__).joinpath("trained")))
SHIPPED, SHIPPED_DENOISER = TRAINED / "refiner.safetensors", TRAINED / "denoiser.safetensors"
SHIPPED_STUDENT = TRAINED / "student.safetensors"
"""The weights that come with the package; their cards lie beside them."""


def save_network(network: Network, path: Path, provenance: dict[str, Any]) -> None:
    """Write the weights as safetensors; shape and provenance go along as JSON in the file's metadata."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {SHAPE: network.shape.model_dump_json(), PROVENANCE: json.dumps(provenance)}
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(save(tensors, metadata))
    part.replace(path)


def load_refiner(path: Path) -> Refiner:
    """A refiner with the weights of a file, ready for use.

    Raises:
        ReadError: the file is missing, damaged, or does not hold a refiner of this version.
    """
    return _loaded(path, "refiner", _refiner)


def load_denoiser(path: Path) -> Denoiser:
    """A denoiser with the weights of a file, ready for use.

    Raises:
        ReadError: the file is missing, damaged, or does not hold a denoiser of this version.
    """
    return _loaded(path, "denoiser", lambda told: Denoiser(DenoiserShape.model_validate_json(told[SHAPE])))


def _refiner(told: dict[str, str]) -> Refiner:
    support = json.loads(told.get(PROVENANCE, "{}")).get(SINGLE_FRAME)
    return Refiner(RefinerShape.model_validate_json(told[SHAPE]), None if support is None else Support(**support))


def _loaded(path: Path, name: str, build: Callable[[dict[str, str]], N]) -> N:
    """A network that is built from a file's metadata, with its weights."""
    try:
        with safe_open(path, framework="pt") as file:
            network = build(file.metadata() or {})
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ReadError(f"{path}: cannot be read as weights ({error}); check the path") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ReadError(f"{path}: holds no weights of this version's {name}; train them again") from error
    return network.eval()


def read_provenance(path: Path) -> dict[str, Any]:
    """What is told about where weights come from; raises ReadError where the file tells nothing."""
    try:
        with safe_open(path, framework="pt") as file:
            provenance: dict[str, Any] = json.loads((file.metadata() or {})[PROVENANCE])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ReadError(f"{path}: tells nothing about where its weights come from") from error
    return provenance

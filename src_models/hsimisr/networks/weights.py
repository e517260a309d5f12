"""Weights of a refiner in a file, with the shape they belong to and where they come from."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hsimisr.errors import ReadError
from hsimisr.networks.refiner import Refiner, RefinerShape, Support

SHAPE = "shape"
PROVENANCE = "provenance"
SINGLE_FRAME = "single_frame"
"""In the provenance: what supports the refiner where a single frame leaves nothing to judge by."""
SHIPPED = Path(str(files(__package__).joinpath("trained", "refiner.safetensors")))
"""The weights that come with the package; their card lies beside them."""


def save_refiner(refiner: Refiner, path: Path, provenance: dict[str, Any]) -> None:
    """Write the weights as safetensors; shape and provenance go along as JSON in the file's metadata."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in refiner.state_dict().items()}
    metadata = {SHAPE: refiner.shape.model_dump_json(), PROVENANCE: json.dumps(provenance)}
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(save(tensors, metadata))
    part.replace(path)


def load_refiner(path: Path) -> Refiner:
    """A refiner with the weights of a file, ready for use.

    Raises:
        ReadError: the file is missing, damaged, or does not hold a refiner of this version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            shape = RefinerShape.model_validate_json((file.metadata() or {})[SHAPE])
            support = json.loads(file.metadata().get(PROVENANCE, "{}")).get(SINGLE_FRAME)
            refiner = Refiner(shape, None if support is None else Support(**support))
            refiner.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ReadError(f"{path}: cannot be read as weights ({error}); check the path") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ReadError(f"{path}: holds no weights of this version's refiner; train them again") from error
    return refiner.eval()


def read_provenance(path: Path) -> dict[str, Any]:
    """What is told about where weights come from; raises ReadError where the file tells nothing."""
    try:
        with safe_open(path, framework="pt") as file:
            provenance: dict[str, Any] = json.loads((file.metadata() or {})[PROVENANCE])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ReadError(f"{path}: tells nothing about where its weights come from") from error
    return provenance

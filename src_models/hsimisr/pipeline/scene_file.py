"""A scene model as a file: its numbers as arrays and its structure as text, so that reading it runs no code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.physics import types
from hsimisr.physics.types import Registration, SceneModel

Arrays = dict[str, npt.NDArray[Any]]
STRUCTURE = "structure"


def write_scene(path: Path, scene: SceneModel) -> None:
    """Write a scene model to an .npz, which is there only when it is complete."""
    part = path.with_name(f".{path.name}.part.npz")
    np.savez(part, **_to_arrays(scene))  # type: ignore[arg-type]  # keywords are the names of the arrays
    part.replace(path)


def read_scene(path: Path) -> SceneModel:
    """The very scene model that was written, to the last bit."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    scene = _from_plain(json.loads(str(arrays.pop(STRUCTURE))), arrays)
    assert isinstance(scene, SceneModel)
    return scene


def digest(registration: Registration) -> str:
    """A text that is another one for any other registration."""
    found = hashlib.sha256()
    for name, array in _to_arrays(registration).items():
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _to_arrays(value: SceneModel | Registration) -> Arrays:
    arrays: Arrays = {}
    plain = _to_plain(value, "", arrays)
    return {STRUCTURE: np.array(json.dumps(plain)), **arrays}


def _to_plain(value: Any, place: str, arrays: Arrays) -> Any:
    """Plain values for JSON; arrays are put aside under the name of their place."""
    if is_dataclass(value) and not isinstance(value, type):
        held = {f.name: _to_plain(getattr(value, f.name), f"{place}.{f.name}", arrays) for f in fields(value)}
        return {"type": type(value).__name__, "fields": held}
    if isinstance(value, tuple):
        return [_to_plain(item, f"{place}.{n}", arrays) for n, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"array": place}
    return value.item() if isinstance(value, np.generic) else value


def _from_plain(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return tuple(_from_plain(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    return getattr(types, value["type"])(**{name: _from_plain(item, arrays) for name, item in value["fields"].items()})

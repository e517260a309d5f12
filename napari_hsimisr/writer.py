"""napari writer: a frame or a refined cube, with its metadata, its error bars and how it was made."""

from __future__ import annotations

from typing import Any

from hsimisr.errors import WriteError
from hsimisr.io.write import write_cube
from napari_hsimisr.layers import CUBE, NOT_FOR_EXPORT, PROVENANCE, STD, cube_of_data


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save one image layer as a cube; raises WriteError that names the file.

    Error bars and provenance belong to the data they came with: a layer whose data were replaced is saved without.
    """
    metadata = attributes.get("metadata", {})
    if reason := metadata.get(NOT_FOR_EXPORT):
        raise WriteError(f"{path}: {reason}")
    stored = metadata.get(CUBE)
    cube = cube_of_data(data, stored, attributes.get("name", "cube"))
    made = metadata if cube is stored else {}
    written = write_cube(path, cube, std=made.get(STD), provenance=made.get(PROVENANCE))
    return [str(file) for file in written]

"""napari writer: a frame or a refined cube, with its metadata, its error bars and how it was made."""

from __future__ import annotations

from typing import Any

from hsimisr.cube import Cube
from hsimisr.io.write import write_cube
from napari_hsimisr.layers import CUBE, PROVENANCE, STD


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save one image layer as a cube; raises WriteError that names the file."""
    metadata = attributes.get("metadata", {})
    cube = metadata.get(CUBE) or Cube.from_array(data, name=attributes.get("name", "cube"))
    written = write_cube(path, cube, std=metadata.get(STD), provenance=metadata.get(PROVENANCE))
    return [str(file) for file in written]

"""Files made by hand, byte by byte or by other libraries, so that readers are not only tested on our own writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

EnviMaker = Callable[..., Path]
CODES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "complex64": 6, "uint16": 12}
ORDERS = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}


@pytest.fixture
def image() -> npt.NDArray[np.uint16]:
    """A cube (band, y, x) with three different sizes and no two equal values."""
    return np.arange(1, 5 * 6 * 7 + 1, dtype=np.uint16).reshape(5, 6, 7)


@pytest.fixture
def make_envi(tmp_path: Path) -> EnviMaker:
    """Write an ENVI image; a field given as None is left out of the header."""

    def make(
        cube: npt.NDArray[np.generic],
        name: str = "scene",
        suffix: str = ".img",
        interleave: str = "bsq",
        big_endian: bool = False,
        offset: int = 0,
        **fields: object,
    ) -> Path:
        bands, lines, samples = cube.shape
        header: dict[str, object] = {
            "samples": samples,
            "lines": lines,
            "bands": bands,
            "header offset": offset,
            "file type": "ENVI Standard",
            "data type": CODES[cube.dtype.name],
            "interleave": interleave,
            "byte order": int(big_endian),
        }
        header |= {key.replace("_", " "): value for key, value in fields.items()}
        text = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)
        path = tmp_path / f"{name}.hdr"
        path.write_text("ENVI\n" + text)
        stored = cube.transpose(ORDERS[interleave]).astype(cube.dtype.newbyteorder(">" if big_endian else "<"))
        (tmp_path / f"{name}{suffix}").write_bytes(b"\0" * offset + stored.tobytes())
        return path

    return make

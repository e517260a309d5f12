"""PNG files, without any library for pictures."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Of the format, by the number of samples a pixel has: grey, RGB, RGBA."""


def encode(pixels: Pixels) -> bytes:
    """A PNG of grey values ``(h, w)``, or of colours ``(h, w, 3)`` or ``(h, w, 4)`` (W3C PNG, 8 bits a sample)."""
    image = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, samples = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[samples], 0, 0, 0)
    rows = np.zeros((height, 1 + width * samples), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def as_url(pixels: Pixels) -> str:
    """The same as the address of a picture inside a page."""
    return "data:image/png;base64," + base64.b64encode(encode(pixels)).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

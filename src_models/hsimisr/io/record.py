"""The metadata of a cube as one JSON text, written into every file beside the format's own fields.

Formats can express only part of the metadata, and some only inexactly; the record brings all of it back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hsimisr.cube import Cube
from hsimisr.errors import ReadError

VERSION = 1


def to_record(cube: Cube, provenance: Mapping[str, Any] | None = None) -> str:
    """The metadata of `cube` on one line of JSON; provenance becomes ``extra["provenance"]`` when read again."""
    extra = dict(cube.extra) if provenance is None else {**cube.extra, "provenance": provenance}
    fields = {
        "version": VERSION,
        "wavelengths": None if cube.wavelengths is None else cube.wavelengths.tolist(),
        "fwhm": None if cube.fwhm is None else cube.fwhm.tolist(),
        "bad": np.flatnonzero(cube.bad).tolist(),
        "nodata": cube.nodata,
        "scale_factor": cube.scale_factor,
        "crs": cube.crs,
        "transform": cube.transform,
        "extra": extra,
    }
    return json.dumps(fields, default=_plain)


def from_record(text: str, bands: int, path: Path) -> dict[str, Any]:
    """Arguments of `Cube` out of a record.

    Raises:
        ReadError: the record is damaged or was written by a newer version.
    """
    try:
        fields = json.loads(text)
        version = fields.pop("version")
        bad = np.zeros(bands, bool)
        bad[fields["bad"]] = True
        transform = fields["transform"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ReadError(f"{path}: its hsimisr record is damaged ({error}); write the file anew") from error
    if version != VERSION:
        raise ReadError(f"{path}: written by a newer version of hsimisr (record {version}); update hsimisr to read it")
    return {**fields, "bad": bad, "transform": None if transform is None else tuple(transform)}


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)

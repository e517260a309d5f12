"""The metadata of a cube as one JSON text, written into every file beside the format's own fields.

Formats can express only part of the metadata, and some of it only with rounding. The record brings it back as it was;
where a format's own field was changed since (a header edited, a file cropped by another program), that field wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from hsimisr.cube import Cube

VERSION = 1
ROUNDING = 1e-6  # relative; formats that write numbers as text keep at least this


def to_record(cube: Cube, provenance: Mapping[str, Any] | None = None) -> str:
    """The metadata of `cube` on one line of JSON; provenance becomes ``extra["provenance"]`` when read again."""
    extra = dict(cube.extra) if provenance is None else {**cube.extra, "provenance": provenance}
    fields = {
        "version": VERSION,
        "shape": cube.data.shape,
        "wavelengths": None if cube.wavelengths is None else cube.wavelengths.tolist(),
        "fwhm": None if cube.fwhm is None else cube.fwhm.tolist(),
        "bad": cube.bad.astype(int).tolist(),
        "nodata": cube.nodata,
        "scale_factor": cube.scale_factor,
        "crs": cube.crs,
        "transform": cube.transform,
        "extra": extra,
    }
    return json.dumps(fields, default=_plain)


def refine(fields: dict[str, Any], text: str, shape: tuple[int, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The metadata a format's own fields gave, made complete and exact by the record in the file.

    Args:
        fields: arguments of `Cube`, `bad` among them.
        text: the record.
        shape: of the cube ``(band, y, x)``; of a record with other bands nothing is taken, of one with another
            image size no transform.

    Returns:
        The arguments of `Cube`, and a note where the record could not be used.
    """
    try:
        record = json.loads(text)
        known = {key: record[key] for key in ("version", "shape", *fields)}
    except (ValueError, KeyError, TypeError) as error:
        return fields, (f"its hsimisr record is damaged ({error!r}) and is left out",)
    if known["version"] != VERSION:
        return fields, (f"its hsimisr record is of version {known['version']} and is left out; update hsimisr",)
    if known["shape"][0] != shape[0]:
        return fields, ("its hsimisr record is of a cube with other bands and is left out",)
    known["bad"] = np.array(known["bad"], bool)
    same_grid = known["shape"] == list(shape) and known["transform"] is not None
    known["transform"] = tuple(known["transform"]) if same_grid else None
    return {key: known[key] if _unchanged(key, value, known[key]) else value for key, value in fields.items()}, ()


def _unchanged(key: str, field: Any, recorded: Any) -> bool:
    """Whether a format's own field says what the record says, or nothing."""
    if key in ("extra", "crs") or field is None:
        return True
    if key == "bad":
        return not field.any() or np.array_equal(field, recorded)
    if key == "scale_factor" and field == 1:
        return True
    return recorded is not None and np.allclose(field, recorded, rtol=ROUNDING, atol=0, equal_nan=True)


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)

"""Where an image in an HDF5 file lies: the CF grid mapping of NetCDF, or NEON's map info."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from hsimisr.io.crs import parse_map_info, shorten
from hsimisr.io.stored import Transform


def georeference(file: h5py.File, dataset: h5py.Dataset, names: Sequence[str]) -> tuple[Transform | None, str | None]:
    """Transform and coordinate system of a dataset; `names` are all datasets of the file."""
    mapping = _text(dataset.attrs.get("grid_mapping"))
    if mapping is not None and mapping in dataset.parent:
        return _cf(dataset, dataset.parent[mapping])
    map_info = next((name for name in names if name.endswith("Coordinate_System/Map_Info")), None)
    return (None, None) if map_info is None else _neon(file, map_info)


def _cf(dataset: h5py.Dataset, mapping: h5py.Dataset) -> tuple[Transform | None, str | None]:
    crs = (
        _text(mapping.attrs.get("epsg_code"))
        or _text(mapping.attrs.get("crs_wkt"))
        or _text(mapping.attrs.get("spatial_ref"))
    )
    crs = None if crs is None else shorten(crs)
    placed = _text(mapping.attrs.get("GeoTransform"))
    if placed is not None:
        x0, dx, rx, y0, ry, dy = (float(value) for value in placed.split())
        return (x0, dx, rx, y0, ry, dy), crs
    axes = [_regular(dataset.parent, name) for name in ("x", "y")]
    if axes[0] is None or axes[1] is None:
        return None, crs
    (x0, dx), (y0, dy) = axes[0], axes[1]
    return (x0, dx, 0.0, y0, 0.0, dy), crs


def _regular(group: h5py.Group, name: str) -> tuple[float, float] | None:
    """Edge and step of an evenly spaced coordinate of pixel centres, or None."""
    if name not in group or group[name].ndim != 1 or group[name].size < 2:
        return None
    centres = np.asarray(group[name][()], float)
    step = float(centres[-1] - centres[0]) / (centres.size - 1)
    if step == 0 or not np.allclose(np.diff(centres), step, rtol=1e-3, atol=0):
        return None
    return float(centres[0]) - step / 2, step


def _neon(file: h5py.File, map_info: str) -> tuple[Transform | None, str | None]:
    fields = [part.strip() for part in (_text(file[map_info][()]) or "").split(",")]
    try:
        transform, crs = parse_map_info(fields)
    except ValueError:
        transform, crs = None, None  # incomplete map info places nothing
    code = file[map_info].parent.get("EPSG Code")
    return transform, crs if code is None else f"EPSG:{_text(code[()])}"


def _text(value: object) -> str | None:
    value = np.ravel(value)[0] if isinstance(value, np.ndarray) and value.size else value
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)

"""What is known about a cube, for people: as plain values, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hsimisr.cube import Cube


def describe(cube: Cube) -> dict[str, Any]:
    """A cube's metadata as plain values; bands as numbers counted from 0."""
    height, width = cube.shape_yx
    centres = cube.wavelengths
    finite = [] if centres is None else centres[np.isfinite(centres)].tolist()
    return {
        "file": str(cube.source),
        "bands": cube.bands,
        "height": height,
        "width": width,
        "dtype": str(cube.data.dtype),
        "wavelengths_nm": [min(finite), max(finite)] if finite else None,
        "fwhm_nm": None if cube.fwhm is None else [float(cube.fwhm.min()), float(cube.fwhm.max())],
        "bad_bands": np.flatnonzero(cube.bad).tolist(),
        "nodata": cube.nodata if cube.nodata is None or math.isfinite(cube.nodata) else str(cube.nodata),
        "scale_factor": cube.scale_factor,
        "crs": cube.crs,
        "transform": cube.transform,
        "provenance": "provenance" in cube.extra,
        "notes": list(cube.notes),
    }


def in_words(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same as names and texts, without the file; neighbouring bad bands are joined."""
    entry = description
    rows = [
        ("size", f"{entry['bands']} bands, {entry['height']} x {entry['width']} pixels, {entry['dtype']}"),
        ("wavelengths", _range(entry["wavelengths_nm"])),
        ("band widths", _range(entry["fwhm_nm"])),
        ("bad bands", _runs(entry["bad_bands"])),
        ("nodata", "not stated" if entry["nodata"] is None else f"{float(entry['nodata']):g}"),
        ("scale factor", f"{entry['scale_factor']:g}"),
        ("coordinates", entry["crs"] or "not stated"),
    ]
    if entry["transform"] is not None:
        x0, dx, _, y0, _, dy = entry["transform"]
        rows.append(("corner, pixel", f"({x0:.10g}, {y0:.10g}), {dx:g} x {dy:g}"))
    return rows + [("note", note) for note in entry["notes"]]


def _range(values: list[float] | None) -> str:
    return "not stated" if values is None else f"{values[0]:.2f} to {values[1]:.2f} nm"


def _runs(bands: list[int]) -> str:
    """Band numbers with neighbours joined, such as ``3, 129-134``."""
    runs: list[list[int]] = []
    for band in bands:
        if runs and band == runs[-1][1] + 1:
            runs[-1][1] = band
        else:
            runs.append([band, band])
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"{len(bands)} ({text}, counted from 0)" if bands else "none"

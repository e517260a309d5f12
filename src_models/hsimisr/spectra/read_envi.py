"""ENVI spectral libraries: an image of one band whose lines are the spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hsimisr.errors import ReadError
from hsimisr.io.read_envi import map_data, parse_header
from hsimisr.io.wavelengths import to_nanometres
from hsimisr.spectra.library import SpectralLibrary

DATA_SUFFIXES = (".sli", "", ".lib", ".dat", ".img")


def read(path: Path) -> SpectralLibrary:
    """Read a library given its data file or its header; raises ReadError where they are none."""
    header_path = _header_of(path)
    header, _ = parse_header(header_path)
    if "library" not in str(header.get("file type", "")).lower():
        raise ReadError(f"{header_path}: is no spectral library (file type); open an image as a frame instead")
    if str(header.get("bands", "1")) != "1":
        raise ReadError(f"{header_path}: `bands` is {header['bands']}; it is 1 in a spectral library")
    data_path = _data_of(header_path) if path == header_path else path
    stored = np.asarray(map_data(header_path, data_path, header | {"bands": "1"}, "byx")[0])
    values = stored.astype(float)
    if "data ignore value" in header:
        values[values == _numbers(header_path, header, "data ignore value")[0]] = np.nan
    wavelengths, _, notes = to_nanometres(_numbers(header_path, header, "wavelength"), header.get("wavelength units"))
    if wavelengths is None:
        raise ReadError(f"{header_path}: {'; '.join(notes)}: a library needs wavelengths; add them and their unit")
    if len(wavelengths) != values.shape[1]:
        raise ReadError(
            f"{header_path}: {len(wavelengths)} wavelengths for {values.shape[1]} samples; correct the header"
        )
    return SpectralLibrary(_names(header, len(values)), wavelengths, values, str(data_path))


def _header_of(path: Path) -> Path:
    if path.suffix.lower() == ".hdr":
        return path
    candidates = [Path(f"{path}{suffix}") for suffix in (".hdr", ".HDR")]
    candidates += [path.with_suffix(suffix) for suffix in (".hdr", ".HDR")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ReadError(f"{path}: no ENVI header beside it; put {path.stem}.hdr in its folder")


def _data_of(header_path: Path) -> Path:
    for suffix in DATA_SUFFIXES:
        for candidate in (header_path.with_suffix(suffix), header_path.with_suffix(suffix.upper())):
            if candidate.is_file():
                return candidate
    raise ReadError(f"{header_path}: its data file is missing; put {header_path.stem}.sli beside it")


def _numbers(path: Path, header: dict[str, Any], key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if key not in header:
        raise ReadError(f"{path}: `{key}` is missing: a library needs it; add it to the header")
    values = header[key] if isinstance(header[key], list) else [header[key]]
    try:
        return np.array([float(value) for value in values if value != ""])
    except ValueError as error:
        raise ReadError(f"{path}: `{key}` holds text that is no number ({error}); correct the header") from error


def _names(header: dict[str, Any], count: int) -> tuple[str, ...]:
    names = header.get("spectra names", [])
    names = [name.strip() for name in (names if isinstance(names, list) else [names])]
    return tuple(names) if len(names) == count else tuple(f"spectrum {n + 1}" for n in range(count))

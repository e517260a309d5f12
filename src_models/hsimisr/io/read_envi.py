"""ENVI images: a text header and a flat data file, in any interleave."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from spectral.io import envi

from hsimisr.cube import Vector
from hsimisr.errors import ReadError
from hsimisr.io import crs as crs_forms
from hsimisr.io.lazy import MappedArray, lazy
from hsimisr.io.stored import BandTable, Stored, Transform
from hsimisr.io.wavelengths import from_band_names

RECORD_KEY = "hsimisr record"
RECORD_MARK = "json "  # keeps the header parser from reading the braces as a list
DATA_SUFFIXES = (".img", "", ".dat", ".raw", ".bin", ".hyspex", ".bsq", ".bil", ".bip")
_AXES = {"bsq": "byx", "bil": "ybx", "bip": "yxb"}
_TOLD_ELSEWHERE = {
    "samples", "lines", "bands", "header offset", "file type", "data type", "interleave", "byte order",
    "wavelength", "wavelength units", "fwhm", "bbl", "data ignore value", "reflectance scale factor",
    "map info", "coordinate system string", RECORD_KEY,
}  # fmt: skip


def find_header(path: Path) -> Path | None:
    """The ENVI header that belongs to a data file (or is the file itself), or None."""
    if path.suffix.lower() == ".hdr":
        return path
    for candidate in (Path(f"{path}.hdr"), Path(f"{path}.HDR"), path.with_suffix(".hdr"), path.with_suffix(".HDR")):
        if candidate.is_file():
            return candidate
    return None


def find_data(header: Path) -> Path | None:
    """The data file that belongs to an ENVI header, or None."""
    for suffix in DATA_SUFFIXES:
        for candidate in (header.with_suffix(suffix), header.with_suffix(suffix.upper())):
            if candidate.is_file():
                return candidate
    return None


def read(path: Path) -> Stored:
    """Read an ENVI image given its header or its data file.

    Raises:
        ReadError: header or data file missing or damaged, sizes that do not fit, or not an image.
    """
    header_path = find_header(path)
    if header_path is None:
        raise ReadError(f"{path}: no ENVI header beside it; put {path.name}.hdr or {path.stem}.hdr in its folder")
    header, notes = parse_header(header_path)
    layout = _layout(header_path, header)
    data_path = path if path != header_path else find_data(header_path)
    if data_path is None:
        raise ReadError(f"{header_path}: its data file is missing; put {header_path.stem}.img (or .dat) beside it")
    array = map_data(header_path, data_path, header, layout)
    transform, crs = _georeference(header)
    bands, band_notes = _bands(header)
    if "byte order" not in header:
        notes.append("the header lacks `byte order`; little-endian assumed")
    record = header.get(RECORD_KEY)
    return Stored(
        lazy(array),
        axes=layout,
        bands=bands,
        nodata=_number(header_path, header, "data ignore value"),
        scale_factor=1.0 / (_number(header_path, header, "reflectance scale factor") or 1.0),
        crs=crs,
        transform=transform,
        notes=(*notes, *band_notes),
        extra={key: value for key, value in header.items() if key not in _TOLD_ELSEWHERE},
        record=record.removeprefix(RECORD_MARK) if isinstance(record, str) else None,
    )


def parse_header(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The fields of an ENVI header, and notes on how it was read; raises ReadError where it is none."""
    try:
        content = path.read_bytes()
        if not content.lstrip().startswith(b"ENVI"):
            raise ReadError(f"{path}: not an ENVI header (its first line is not ENVI); choose an ENVI header")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about upper-case names, which ENVI itself takes for the same
            if _is_utf8(content):
                return envi.read_envi_header(path), []
            return _parse_latin(content), ["the header is not UTF-8; read as Latin-1"]
    except envi.EnviHeaderParsingError as error:
        raise ReadError(f"{path}: the ENVI header is damaged or cut off; a brace may not be closed") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse_latin(content: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "header.hdr"
        copy.write_text(content.decode("latin-1"))
        header: dict[str, Any] = envi.read_envi_header(copy)
    return header


def _layout(path: Path, header: Mapping[str, Any]) -> str:
    kind = str(header.get("file type", "")).lower()
    if "library" in kind:
        raise ReadError(f"{path}: is a spectral library: spectra without an image; choose an image cube")
    if "classification" in kind:
        raise ReadError(f"{path}: is a classification, not measured values; choose the cube it was made from")
    if str(header.get("file compression", "0")) not in ("0", ""):
        raise ReadError(f"{path}: its data are compressed; save the image again without compression")
    interleave = str(header.get("interleave", "")).lower()
    if interleave not in _AXES:
        raise ReadError(f"{path}: interleave is {interleave or 'missing'!r}; it must be bsq, bil or bip")
    return _AXES[interleave]


def map_data(header_path: Path, data_path: Path, header: Mapping[str, Any], layout: str) -> MappedArray:
    """The data file as an array with the axes of `layout`; raises ReadError where header and file do not fit."""
    sizes = {}
    for letter, key in (("b", "bands"), ("y", "lines"), ("x", "samples")):
        value = _number(header_path, header, key)
        if value is None or value < 1 or value != int(value):
            raise ReadError(
                f"{header_path}: `{key}` is {header.get(key, 'missing')}; it must be a whole number above 0"
            )
        sizes[letter] = int(value)
    code = str(header.get("data type", "missing"))
    if code not in envi.envi_to_dtype:
        raise ReadError(f"{header_path}: data type {code} is unknown; ENVI knows {', '.join(envi.envi_to_dtype)}")
    dtype = np.dtype(envi.envi_to_dtype[code])
    if dtype.kind == "c":
        raise ReadError(f"{header_path}: holds complex numbers; save its magnitude or its real part and open that")
    dtype = dtype.newbyteorder(">" if str(header.get("byte order", "0")) == "1" else "<")
    offset = int(_number(header_path, header, "header offset") or 0)
    shape = tuple(sizes[letter] for letter in layout)
    expected, actual = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, data_path.stat().st_size
    if actual != expected:
        what = "cut off" if actual < expected else "larger than its header says"
        raise ReadError(
            f"{data_path}: {what}: {actual} bytes, but {sizes['y']} lines x {sizes['x']} samples x {sizes['b']} bands "
            f"of {dtype.name} need {expected}; correct lines, samples, bands or data type in {header_path.name}, "
            "or copy the data file again"
        )
    return MappedArray(data_path, dtype, shape, offset)


def _bands(header: Mapping[str, Any]) -> tuple[BandTable, list[str]]:
    notes: list[str] = []
    unit = header.get("wavelength units")
    centres, unreadable = _vector(header, "wavelength")
    fwhm, _ = _vector(header, "fwhm")
    flags, _ = _vector(header, "bbl")
    if unreadable:
        notes.append("the list of wavelengths holds text that is no number and is left out")
    names = header.get("band names")
    if centres is None and isinstance(names, list):
        found = from_band_names(names)
        if found is not None:
            centres, named_unit = found
            unit = named_unit or unit
            notes.append("wavelengths taken from the band names")
    bad = None if flags is None else flags == 0
    return BandTable(centres, None if unit is None else str(unit), fwhm, bad), notes


def _georeference(header: Mapping[str, Any]) -> tuple[Transform | None, str | None]:
    transform, crs = None, None
    fields = header.get("map info")
    if isinstance(fields, list):
        try:
            transform, crs = crs_forms.parse_map_info(fields)
        except ValueError:
            transform = None  # incomplete map info places nothing
    wkt = header.get("coordinate system string")
    if wkt is not None:
        text = ",".join(wkt) if isinstance(wkt, list) else str(wkt)
        crs = crs_forms.shorten(text) if crs is None else crs
    return transform, crs


def _vector(header: Mapping[str, Any], key: str) -> tuple[Vector | None, bool]:
    """A list of numbers, and whether it was there but could not be read."""
    values = header.get(key)
    if values is None:
        return None, False
    values = values if isinstance(values, list) else [values]
    try:
        return np.array([float(value) for value in values if value != ""]), False
    except ValueError:
        return None, True


def _number(path: Path, header: Mapping[str, Any], key: str) -> float | None:
    text = header.get(key)
    if text is None or text == "":
        return None
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ReadError(f"{path}: `{key}` is {text!r}, not a number; correct the header") from error

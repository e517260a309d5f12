"""TIFF and GeoTIFF images, with the tags of GDAL and ENVI for wavelengths, bad bands and scale."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import unescape

import numpy as np
import tifffile
import zarr

from hsimisr.cube import Vector
from hsimisr.errors import ReadError
from hsimisr.io.choose import Entry, check_real
from hsimisr.io.geotiff import georeference
from hsimisr.io.lazy import Data, MappedArray, lazy
from hsimisr.io.stored import BandTable, Stored
from hsimisr.io.wavelengths import from_band_names

GDAL_METADATA, GDAL_NODATA = 42112, 42113
RECORD_ITEM = "HSIMISR_RECORD"
_FRAME_AXES, _BAND_AXES = "T", "SCIQZ"


class TiffArray:
    """The first image series of a TIFF, decoded tile by tile."""

    ndim = property(lambda self: len(self.shape))

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, dtype, shape

    def __getitem__(self, key: Any) -> Data:
        with tifffile.TiffFile(self.path) as tiff, tiff.series[0].aszarr() as store:
            return np.asarray(zarr.open_array(store, mode="r")[key])


def read(path: Path) -> Stored:
    """Read the image of a TIFF file; its georeference too, from its tags or through rasterio where that is installed.

    Raises:
        ReadError: not a TIFF, damaged, cut off, or without an image of real numbers.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            if not tiff.series:
                raise ReadError(f"{path}: holds no image; choose another file")
            series = tiff.series[0]
            page = series.keyframe
            check_real(path, Entry("the image", series.shape, series.dtype))
            _check_complete(path, tiff)
            array, chunks = _array(path, series)
            tags = {tag.code: tag.value for tag in page.tags}
            axes = _letters(series.axes)
            others = len(tiff.series) - 1
    except (tifffile.TiffFileError, struct.error, ValueError, IndexError, OSError) as error:
        raise ReadError(f"{path}: cannot be read as TIFF ({error}); copy or export the file again") from error
    dataset, samples = _items(path, tags.get(GDAL_METADATA))
    table, band_notes = _bands(samples)
    scale, scale_notes = _scale(samples)
    transform, crs, geo_notes = georeference(path, tags)
    notes = () if not others else (f"holds {others + 1} image series; took the first",)
    return Stored(
        lazy(array, chunks),
        axes=axes,
        habit="byx",
        bands=table,
        nodata=_nodata(path, tags.get(GDAL_NODATA)),
        scale_factor=scale,
        crs=crs,
        transform=transform,
        notes=(*notes, *band_notes, *scale_notes, *geo_notes),
        extra={key: value for key, value in dataset.items() if key.upper() != RECORD_ITEM},
        record=next((value for key, value in dataset.items() if key.upper() == RECORD_ITEM), None),
    )


def _array(path: Path, series: tifffile.TiffPageSeries) -> tuple[TiffArray | MappedArray, tuple[int, ...] | None]:
    """Uncompressed images in one piece are mapped, others decoded chunk by chunk."""
    dtype = np.dtype(series.dtype)
    if series.dataoffset is not None:
        dtype = dtype.newbyteorder(series.keyframe.parent.byteorder)
        return MappedArray(path, dtype, series.shape, series.dataoffset), None
    with series.aszarr() as store:
        chunks = zarr.open_array(store, mode="r").chunks
    return TiffArray(path, dtype, series.shape), chunks


def _check_complete(path: Path, tiff: tifffile.TiffFile) -> None:
    """Raise ReadError if any part of the image lies beyond the end of the file."""
    size = path.stat().st_size
    for page in tiff.series[0].pages:
        if page is None:
            continue
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > size:
            raise ReadError(f"{path}: cut off: {size} bytes, but its image reaches to {max(ends)}; copy the file again")


def _letters(axes: str) -> str | None:
    """Our letters for the axes tifffile names, or None where they tell no more than that there are three."""
    letters = ["k" if a in _FRAME_AXES else "b" if a in _BAND_AXES else a.lower() for a in axes]
    text = "".join(letters)
    return text if sorted(text) in (sorted("byx"), sorted("yx"), sorted("kbyx"), sorted("kyx")) else None


def _items(path: Path, xml: Any) -> tuple[dict[str, str], list[dict[str, str]]]:
    """GDAL's metadata: of the image, and of each band (with the description under ``DESCRIPTION``)."""
    if xml is None:
        return {}, []
    try:
        root = ET.fromstring(str(xml).rstrip("\0"))
    except ET.ParseError as error:
        raise ReadError(f"{path}: its GDAL_METADATA tag is damaged ({error}); export the file again") from error
    dataset: dict[str, str] = {}
    samples: dict[int, dict[str, str]] = {}
    for item in root.iter("Item"):
        name, sample = item.get("name", ""), item.get("sample")
        text = unescape(item.text or "", {"&quot;": '"', "&apos;": "'"})  # GDAL escapes text twice
        target = dataset if sample is None else samples.setdefault(int(sample), {})
        target[name] = text
    return dataset, [samples.get(k, {}) for k in range(max(samples, default=-1) + 1)]


def _bands(samples: list[dict[str, str]]) -> tuple[BandTable, list[str]]:
    keys = [{name.lower(): value for name, value in sample.items()} for sample in samples]
    centres, fwhm, good = (_column(keys, name) for name in ("wavelength", "fwhm", "bbl"))
    unit = keys[0].get("wavelength_units") if keys else None
    notes = []
    if centres is None:
        found = from_band_names([sample.get("description", "") for sample in keys])
        if found is not None:
            centres, unit = found
            notes.append("wavelengths taken from the band descriptions")
    return BandTable(centres, unit, fwhm, None if good is None else good == 0), notes


def _column(samples: list[dict[str, str]], key: str) -> Vector | None:
    """The number each band has under `key`, or None unless all have one."""
    values = [re.match(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$", sample.get(key, "")) for sample in samples]
    return np.array([float(match.group(1)) for match in values if match]) if values and all(values) else None


def _scale(samples: list[dict[str, str]]) -> tuple[float, list[str]]:
    scales = {float(sample["SCALE"]) for sample in samples if "SCALE" in sample}
    offsets = {float(sample["OFFSET"]) for sample in samples if "OFFSET" in sample}
    notes = ["the file gives its bands offsets, which are not applied"] if offsets - {0.0} else []
    if len(scales) > 1:
        return 1.0, [*notes, "the file gives its bands different scale factors, which are not applied"]
    return scales.pop() if scales else 1.0, notes


def _nodata(path: Path, text: Any) -> float | None:
    if text is None:
        return None
    try:
        return float(str(text).strip("\0 "))
    except ValueError as error:
        raise ReadError(f"{path}: its nodata tag is {text!r}, not a number; export the file again") from error

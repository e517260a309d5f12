"""TIFF, and GeoTIFF where the cube is georeferenced, with GDAL's tags; written chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import tifffile

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.compute import store
from hsimisr.io.geotiff import geo_tags
from hsimisr.io.read_tiff import GDAL_METADATA, GDAL_NODATA, RECORD_ITEM
from hsimisr.io.room import check_room

Tag = tuple[int, str, int, Any, bool]


def write(path: Path, cube: Cube, std: Cube | None, record: str) -> None:
    """Write ``stem.tif``; a standard deviation as ``stem_std.tif``."""
    _write_one(path, cube, record)
    if std is not None:
        _write_one(path.with_name(f"{path.stem}_std{path.suffix}"), std, record)


def _write_one(path: Path, cube: Cube, record: str) -> None:
    check_room(path, cube.data.nbytes)
    dtype = cube.data.dtype.newbyteorder("=")
    several = cube.bands > 1
    shape = cube.data.shape if several else cube.shape_yx
    layout: dict[str, Any] = {"planarconfig": "separate"} if several else {}
    try:
        options = {"photometric": "minisblack", "metadata": None, "extratags": _tags(cube, record), **layout}
        target = tifffile.memmap(path, shape=shape, dtype=dtype, **options)
    except (ValueError, KeyError) as error:
        raise WriteError(f"{path.name}: TIFF cannot hold this cube ({error}); save it as .zarr or .nc") from error
    store(cube.data if several else cube.data[0], target)
    target.flush()


def _tags(cube: Cube, record: str) -> list[Tag]:
    tags: list[Tag] = [(GDAL_METADATA, "s", 0, _gdal_metadata(cube, record), True)]
    if cube.nodata is not None:
        whole = float(cube.nodata).is_integer()  # readers expect no decimal point for whole numbers
        tags.append((GDAL_NODATA, "s", 0, str(int(cube.nodata)) if whole else repr(float(cube.nodata)), True))
    if cube.transform is not None:
        tags += geo_tags(cube.crs, cube.transform)
    return tags


def _gdal_metadata(cube: Cube, record: str) -> str:
    """GDAL's XML; plain ASCII, as TIFF text has to be."""
    root = ET.Element("GDALMetadata")

    def add(name: str, text: str, **attributes: str) -> None:
        ET.SubElement(root, "Item", {"name": name, **attributes}).text = escape(text)  # GDAL unescapes twice

    for band in range(cube.bands):
        sample = str(band)
        if cube.wavelengths is not None:
            add("wavelength", repr(float(cube.wavelengths[band])), sample=sample)
            add("wavelength_units", "Nanometers", sample=sample)
        if cube.fwhm is not None:
            add("fwhm", repr(float(cube.fwhm[band])), sample=sample)
        if cube.bad.any():
            add("bbl", str(int(not cube.bad[band])), sample=sample)
        if cube.scale_factor != 1:
            add("SCALE", repr(cube.scale_factor), sample=sample, role="scale")
            add("OFFSET", "0", sample=sample, role="offset")
    add(RECORD_ITEM, record)
    return ET.tostring(root, encoding="unicode")

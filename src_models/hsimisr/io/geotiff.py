"""The georeference of a TIFF: through rasterio where it is installed, else from the tags as far as they tell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tifffile

from hsimisr.errors import WriteError
from hsimisr.io.crs import shorten, utm_zone
from hsimisr.io.stored import Transform

PIXEL_SCALE, TIE_POINTS, MATRIX = 33550, 33922, 34264
KEYS, DOUBLES, TEXTS = 34735, 34736, 34737
MODEL_TYPE, RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1024, 1025, 2048, 3072
USER_DEFINED = 32767
PIXEL_IS_POINT = 2


def georeference(path: Path, tags: Mapping[int, Any]) -> tuple[Transform | None, str | None, tuple[str, ...]]:
    """Transform, coordinate system and notes, from the tags of a TIFF's first page."""
    keys = _keys(tags)
    transform = _transform(tags, point=keys.get(RASTER_TYPE) == PIXEL_IS_POINT)
    code = keys.get(PROJECTED, keys.get(GEOGRAPHIC))
    if code is not None and code != USER_DEFINED:
        return transform, f"EPSG:{code}", ()
    if code is None and KEYS not in tags:
        return transform, None, ()
    wkt = _wkt(path)
    if wkt is None:
        return transform, None, ("the file's own coordinate system needs rasterio (the extra `geo`) to be read",)
    return transform, shorten(wkt), ()


def geo_tags(crs: str | None, transform: Transform) -> list[tuple[int, str, int, Any, bool]]:
    """The tags, as tifffile takes them, that place an image.

    Raises:
        WriteError: the coordinate system needs rasterio and that is not installed.
    """
    x0, dx, rx, y0, ry, dy = transform
    if rx or ry or dx <= 0 or dy >= 0:
        matrix = (dx, rx, 0.0, x0, ry, dy, 0.0, y0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        tags: list[tuple[int, str, int, Any, bool]] = [(MATRIX, "d", 16, matrix, True)]
    else:
        tags = [
            (PIXEL_SCALE, "d", 3, (dx, -dy, 0.0), True),
            (TIE_POINTS, "d", 6, (0.0, 0.0, 0.0, x0, y0, 0.0), True),
        ]
    return tags if crs is None else [*tags, *_crs_tags(crs)]


def _crs_tags(crs: str) -> list[tuple[int, str, int, Any, bool]]:
    if utm_zone(crs) is not None or crs == "EPSG:4326":
        model, key = (2, GEOGRAPHIC) if crs == "EPSG:4326" else (1, PROJECTED)
        code = int(crs.removeprefix("EPSG:"))
        keys = (1, 1, 0, 3, MODEL_TYPE, 0, 1, model, RASTER_TYPE, 0, 1, 1, key, 0, 1, code)
        return [(KEYS, "H", len(keys), keys, True)]
    return _crs_tags_by_rasterio(crs)


def _crs_tags_by_rasterio(crs: str) -> list[tuple[int, str, int, Any, bool]]:
    """Let GDAL put the coordinate system into a TIFF of one pixel, and take its tags."""
    try:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError, NotGeoreferencedWarning
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise WriteError(
            f"a GeoTIFF in the coordinate system {crs[:60]!r} needs rasterio; install the extra `geo`, or save as .nc"
        ) from error

    try:
        with MemoryFile() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with file.open(driver="GTiff", width=1, height=1, count=1, dtype="uint8", crs=CRS.from_user_input(crs)):
                pass
            with tifffile.TiffFile(file) as tiff:
                present = {tag.code: tag.value for tag in tiff.pages.first.tags}
    except CRSError as error:
        raise WriteError(f"the coordinate system {crs[:60]!r} is not valid ({error}); correct it") from error
    types = {KEYS: "H", DOUBLES: "d", TEXTS: "s"}
    return [
        (code, kind, 0 if kind == "s" else len(present[code]), present[code], True)
        for code, kind in types.items()
        if code in present
    ]


def _keys(tags: Mapping[int, Any]) -> dict[int, int]:
    """The short keys of the GeoKeyDirectory."""
    directory = tags.get(KEYS)
    if directory is None:
        return {}
    entries = [directory[start : start + 4] for start in range(4, len(directory), 4)]
    return {key: value for key, location, _, value in entries if location == 0}


def _transform(tags: Mapping[int, Any], point: bool) -> Transform | None:
    if MATRIX in tags:
        m = tags[MATRIX]
        transform = (m[3], m[0], m[1], m[7], m[4], m[5])
    elif PIXEL_SCALE in tags and TIE_POINTS in tags:
        (dx, dy), (column, row, _, x, y) = tags[PIXEL_SCALE][:2], tags[TIE_POINTS][:5]
        transform = (x - column * dx, dx, 0.0, y + row * dy, 0.0, -dy)
    else:
        return None
    if not point:
        return transform
    x0, dx, rx, y0, ry, dy = transform
    return x0 - (dx + rx) / 2, dx, rx, y0 - (ry + dy) / 2, ry, dy


def _wkt(path: Path) -> str | None:
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            wkt: str | None = None if dataset.crs is None else dataset.crs.to_wkt()
    return wkt

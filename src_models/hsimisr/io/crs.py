"""Coordinate systems and pixel grids in the forms that files use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import cos, radians, sin

from hsimisr.io.stored import Transform

_ROOT_AUTHORITY = re.compile(r"""(?:AUTHORITY\["EPSG",\s*"(\d+)"\]|ID\["EPSG",\s*(\d+)\])\s*\]\s*$""")
_LINEAR = re.compile(r"""(?:LENGTHUNIT|UNIT)\["([^"]+)",""")
_UTM = re.compile(r"EPSG:32([67])(\d\d)")


def shorten(crs: str) -> str:
    """An authority code such as ``EPSG:32633`` where a WKT names its own, else the WKT as it is."""
    match = _ROOT_AUTHORITY.search(crs)
    return crs if match is None else f"EPSG:{match.group(1) or match.group(2)}"


def utm_zone(crs: str) -> tuple[int, str] | None:
    """Zone and hemisphere (``North`` or ``South``) of a WGS 84 UTM code, else None."""
    match = _UTM.fullmatch(crs)
    return None if match is None else (int(match.group(2)), "North" if match.group(1) == "6" else "South")


def to_wkt(crs: str) -> str | None:
    """The WKT of a coordinate system; of an authority code only where rasterio is installed, else None."""
    if "[" in crs:
        return crs
    try:
        from rasterio.crs import CRS
    except ImportError:
        return None
    wkt: str = CRS.from_user_input(crs).to_wkt()
    return wkt


def is_geographic(crs: str) -> bool | None:
    """Whether a coordinate system is in degrees, or None where only rasterio could tell and is not installed."""
    if crs == "EPSG:4326" or utm_zone(crs) is not None:
        return crs == "EPSG:4326"
    wkt = to_wkt(crs)
    return None if wkt is None else wkt.lstrip().startswith("GEOG")


def in_metres(crs: str) -> bool:
    """Whether a coordinate system is known to count in metres."""
    return utm_zone(crs) is not None or _unit(crs) in ("metre", "meter")


def cf_mapping(crs: str) -> dict[str, str | float]:
    """The grid mapping by the CF conventions, appendix F; empty but for WGS 84 in degrees and its UTM zones."""
    ellipsoid = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
    if crs == "EPSG:4326":
        return {"grid_mapping_name": "latitude_longitude", **ellipsoid}
    zone = utm_zone(crs)
    if zone is None:
        return {}
    return {
        "grid_mapping_name": "transverse_mercator",
        "longitude_of_central_meridian": 6.0 * zone[0] - 183,
        "latitude_of_projection_origin": 0.0,
        "scale_factor_at_central_meridian": 0.9996,
        "false_easting": 500000.0,
        "false_northing": 0.0 if zone[1] == "North" else 10000000.0,
        **ellipsoid,
    }


def parse_map_info(fields: Sequence[str]) -> tuple[Transform, str | None]:
    """Transform and authority code out of ENVI's ``map info``; raises ValueError where it is not complete.

    The order is: projection, reference pixel x, y (from 1), easting, northing, pixel size x, y, and for UTM zone,
    hemisphere, datum; options such as ``rotation=`` follow.
    """
    reference_x, reference_y, easting, northing, size_x, size_y = (float(value) for value in fields[1:7])
    options = dict(part.split("=", 1) for part in fields[7:] if "=" in part)
    angle = radians(float(options.get("rotation", 0.0)))
    dx, rx = cos(angle) * size_x, sin(angle) * size_x
    ry, dy = sin(angle) * size_y, -cos(angle) * size_y
    back_x, back_y = reference_x - 1, reference_y - 1
    transform = (easting - back_x * dx - back_y * rx, dx, rx, northing - back_x * ry - back_y * dy, ry, dy)
    return transform, _code([part.strip() for part in fields])


def map_info(transform: Transform, crs: str | None) -> list[str] | None:
    """ENVI's ``map info`` of a grid, or None where the format cannot express it (a rotated or sheared grid)."""
    x0, dx, rx, y0, ry, dy = transform
    if rx or ry or dx <= 0 or dy >= 0:
        return None
    grid = ["1", "1", repr(x0), repr(y0), repr(dx), repr(-dy)]
    zone = None if crs is None else utm_zone(crs)
    if zone is not None:
        return ["UTM", *grid, str(zone[0]), zone[1], "WGS-84", "units=Meters"]
    if crs == "EPSG:4326":
        return ["Geographic Lat/Lon", *grid, "WGS-84", "units=Degrees"]
    return ["Arbitrary", *grid]


def _unit(crs: str) -> str | None:
    """The linear unit of a projected system."""
    wkt = to_wkt(crs)
    if wkt is None or wkt.lstrip().startswith("GEOG"):
        return None
    units = _LINEAR.findall(wkt)
    return units[-1].lower() if units else None


def _code(fields: Sequence[str]) -> str | None:
    wgs84 = any(part.upper().replace("-", "").replace(" ", "") == "WGS84" for part in fields[7:])
    if wgs84 and fields[0].upper() == "UTM" and len(fields) > 8 and fields[7].isdigit():
        return f"EPSG:32{6 if fields[8].lower().startswith('n') else 7}{int(fields[7]):02d}"
    if wgs84 and fields[0].lower().startswith("geographic"):
        return "EPSG:4326"
    return None

"""Save cubes, with their error bars and all their metadata, in the format that the suffix names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.record import to_record

Map = npt.NDArray[np.float32]
Writer = Callable[[Path, Cube, Cube | None, str, Map | None], None]

CHOICES = ".hdr (ENVI), .tif (GeoTIFF), .nc (NetCDF-4), .mat (MATLAB), .zarr or .npz"


def write_cube(
    path: Path,
    cube: Cube,
    std: Cube | None = None,
    provenance: Mapping[str, Any] | None = None,
    determined: Map | None = None,
) -> list[Path]:
    """Write a cube; nothing that exists already is touched before everything is written.

    Args:
        path: the file to write; its suffix is the format. ENVI puts the data beside the header.
        cube: what to save, with its metadata.
        std: its standard deviation ``(band, y, x)``, saved as variable `std`, or as ``<stem>_std`` in formats
            that hold one cube.
        provenance: how the cube was made; comes back in ``extra["provenance"]``.
        determined: share ``(h, w)`` of the detail that is measured, not inferred, on the grid of the LR frames that
            the cube was made from; saved as variable `determined` in formats that hold several.

    Returns:
        The files (or Zarr folder) that were written.

    Raises:
        WriteError: unknown suffix, a type the format cannot hold, or a folder that cannot be written.
    """
    path = Path(path)
    write = check_path(path)
    if std is not None and std.data.shape != cube.data.shape:
        raise WriteError(f"{path}: the standard deviation has shape {std.data.shape}, the cube {cube.data.shape}")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
            write(Path(folder) / path.name, cube, std, to_record(cube, provenance), determined)
            return _move(Path(folder), path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(f"{path}: cannot be written ({reason}); check folder, permissions and free space") from error


def check_path(path: Path) -> Writer:
    """The writer of a path's format, once a cube can be put there; raises WriteError before any work is done."""
    write = _writer(path)
    if path.is_dir() and not any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray")):
        raise WriteError(f"{path}: is a folder that is no Zarr store; choose another name")
    check_folder(path)
    return write


def check_folder(path: Path) -> None:
    """Raise WriteError where no file of that name can be made, before any work is done."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise WriteError(f"{path}: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise WriteError(f"{path}: the folder {folder} cannot be written to; choose another or change its permissions")


def _writer(path: Path) -> Writer:
    """The writer of a format; its libraries load only when it is used."""
    match path.suffix.lower():
        case ".hdr":
            from hsimisr.io.write_envi import write as write_envi

            return _of_one_cube(write_envi)
        case ".tif" | ".tiff":
            from hsimisr.io.write_tiff import write as write_tiff

            return _of_one_cube(write_tiff)
        case ".nc":
            from hsimisr.io.write_netcdf import write
        case ".mat":
            from hsimisr.io.write_matlab import write
        case ".zarr":
            from hsimisr.io.write_zarr import write
        case ".npz":
            from hsimisr.io.write_numpy import write
        case suffix:
            raise WriteError(f"{path}: {suffix or 'no suffix'} is no format cubes are written in; choose {CHOICES}")
    return write


def _of_one_cube(write: Callable[[Path, Cube, Cube | None, str], None]) -> Writer:
    """The writer of a format that holds one cube a file, and no map of another grid."""
    return lambda path, cube, std, record, _: write(path, cube, std, record)


def _move(folder: Path, target: Path) -> list[Path]:
    """Move what was written to its place, headers last so that they never describe data that are not there yet."""
    written = []
    for part in sorted(folder.iterdir(), key=lambda part: (part.suffix.lower() == ".hdr", part.name)):
        place = target / part.name
        if place.is_dir():
            shutil.move(place, folder / f"{part.name}.replaced")  # goes with the temporary folder
        part.replace(place)
        written.append(place)
    return sorted(written, key=lambda place: place.suffix.lower() != ".hdr")

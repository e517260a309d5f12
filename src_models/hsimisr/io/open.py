"""Open cubes and stacks of frames from files of any supported format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hsimisr.cube import Cube, CubeSource, FrameStack
from hsimisr.errors import ReadError
from hsimisr.io.assemble import frame_count, orient, to_cube
from hsimisr.io.read_envi import find_data, find_header
from hsimisr.io.stored import Stored

Spec = str | Path | CubeSource

HDF5_SUFFIXES = {".h5", ".hdf5", ".he5", ".nc", ".nc4"}
ENVI_SUFFIXES = {".hdr", ".img", ".dat", ".raw", ".bin", ".hyspex", ".bsq", ".bil", ".bip", ".sli", ""}
SUFFIXES = {".tif", ".tiff", ".mat", ".npy", ".npz", ".zarr"} | HDF5_SUFFIXES | ENVI_SUFFIXES
FORMATS = "ENVI (.hdr or its data file), TIFF, MATLAB, NumPy, Zarr, HDF5 and NetCDF-4"
_NETCDF_CLASSIC = b"CDF"


def open_cube(spec: Spec) -> Cube:
    """Open one cube, lazily; `open_cube(cube.source)` opens the very same one again.

    Args:
        spec: a path, ``file:variable`` for an array inside a file, ``file#3`` for a frame of a file with several,
            or the `source` of a cube.

    Raises:
        ReadError: the file is missing, damaged, of another format, or holds no cube.
    """
    source = parse_spec(spec)
    return to_cube(orient(_read(source)), source)


def open_frames(specs: Sequence[Spec], reference: int = 0, bands_as_frames: bool = False) -> FrameStack:
    """Open the frames of one scene, lazily.

    Args:
        specs: as for `open_cube`. A folder stands for the cubes in it, in natural order, and an array with four
            axes for all its frames.
        reference: index of the reference frame.
        bands_as_frames: take each image of a 3-D array as a frame of one band.

    Raises:
        ReadError: a file is missing, damaged, of another format, or holds no cube.
        StackError: the frames do not belong together.
    """
    return FrameStack(tuple(open_cubes(specs, bands_as_frames)), reference)


def open_cubes(specs: Sequence[Spec], bands_as_frames: bool = False) -> list[Cube]:
    """Open cubes that need not belong together, lazily; `specs` and `bands_as_frames` as for `open_frames`.

    Raises:
        ReadError: a file is missing, damaged, of another format, or holds no cube.
    """
    cubes: list[Cube] = []
    for source in [source for spec in specs for source in sources_of(spec)]:
        source = replace(source, bands_as_frames=source.bands_as_frames or bands_as_frames)
        stored = orient(_read(source))
        several = source.index is None and (stored.array.ndim == 4 or source.bands_as_frames)
        sources = [source]
        if several:
            sources = [replace(source, index=k) for k in range(frame_count(stored, source.bands_as_frames))]
        cubes.extend(to_cube(stored, each) for each in sources)
    return cubes


def open_readable(specs: Sequence[Spec], bands_as_frames: bool = False) -> Iterator[Cube | ReadError]:
    """Open cubes one after another, as `open_cubes` does; an error stands in the place of what cannot be read.

    So one damaged file hides no other.
    """
    for spec in specs:
        try:
            sources = sources_of(spec)
        except ReadError as error:
            yield error
            continue
        except OSError as error:
            yield ReadError(f"{spec}: cannot be read: {error.strerror or error}")
            continue
        for source in sources:
            try:
                yield from open_cubes([source], bands_as_frames)
            except ReadError as error:
                yield error
            except OSError as error:
                yield ReadError(f"{source}: cannot be read: {error.strerror or error}")


def sources_of(spec: Spec) -> list[CubeSource]:
    """The cubes in a folder, in natural order, or the one source that `spec` names.

    Raises:
        ReadError: there is no such file, or no cube in the folder.
    """
    source = parse_spec(spec)
    folder = Path(source.path)
    if not folder.is_dir() or _is_zarr(folder):
        return [source]
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    data_files = {find_data(path) for path in files if path.suffix.lower() == ".hdr"}
    cubes = [path for path in files if path not in data_files and (path.is_file() or _is_zarr(path))]
    cubes = [path for path in cubes if (path.suffix or find_header(path) is not None) and not _accompanies(path)]
    if not cubes:
        raise ReadError(f"{folder}: no cubes in this folder; formats read are {FORMATS}")
    return [CubeSource(str(path)) for path in sorted(cubes, key=_natural)]


def parse_spec(spec: Spec) -> CubeSource:
    """The source that a text such as ``folder/file.mat:variable#3`` names, with an absolute path.

    Raises:
        ReadError: there is no such file.
    """
    if isinstance(spec, CubeSource):
        return replace(spec, path=_absolute(spec.path))
    text = str(spec)
    if Path(text).expanduser().exists():
        return CubeSource(_absolute(text))
    match = re.fullmatch(r"(?P<path>.+?)(?::(?P<variable>[^:\\#]+))?(?:#(?P<index>\d+))?", text)
    if match is None or not Path(match["path"]).expanduser().exists():
        raise ReadError(f"{spec}: no such file; check the path, or give an array inside a file as file:name")
    index = match["index"]
    return CubeSource(_absolute(match["path"]), match["variable"], None if index is None else int(index))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _read(source: CubeSource) -> Stored:
    path, suffix = Path(source.path), Path(source.path).suffix.lower()
    if not path.exists():
        raise ReadError(f"{path}: no such file; check the path")
    if _is_zarr(path):
        from hsimisr.io import read_zarr

        return read_zarr.read(path, source.variable)
    if path.is_dir():
        raise ReadError(f"{path}: is a folder; open its files as a stack of frames, or name one of them")
    if path.stat().st_size == 0:
        raise ReadError(f"{path}: is empty (0 bytes); copy the file again")
    if suffix in (".mat", ".npz", *HDF5_SUFFIXES):
        return _read_container(path, suffix, source.variable)
    if source.variable is not None:
        raise ReadError(f"{path}: holds one array; open it without :{source.variable}")
    if suffix in (".tif", ".tiff"):
        from hsimisr.io import read_tiff

        return read_tiff.read(path)
    if suffix == ".npy":
        from hsimisr.io import read_numpy

        return read_numpy.read_npy(path)
    if suffix in ENVI_SUFFIXES or find_header(path) is not None:
        from hsimisr.io import read_envi

        return read_envi.read(path)
    raise ReadError(f"{path}: {suffix} is not a format of cubes read here; use {FORMATS}")


def _read_container(path: Path, suffix: str, variable: str | None) -> Stored:
    """Read a format that holds named arrays; libraries load only when their format is met."""
    if suffix == ".mat":
        from hsimisr.io import read_matlab

        return read_matlab.read(path, variable)
    if suffix == ".npz":
        from hsimisr.io import read_numpy

        return read_numpy.read_npz(path, variable)
    with path.open("rb") as file:
        if file.read(3) == _NETCDF_CLASSIC:
            raise ReadError(f"{path}: is NetCDF classic; convert it to NetCDF-4, for example with nccopy -k nc4")
    from hsimisr.io import read_hdf5

    return read_hdf5.read(path, variable)


def _accompanies(path: Path) -> bool:
    """Whether a file is no frame among others: a refined cube, its error bars, or motion fields of a registration.

    A refined cube has its sidecar beside it.
    """
    cube = path.with_name(path.name.replace("_std.", "."))
    if (cube != path and cube.exists()) or path.with_name(f"{path.name}.json").exists():
        return True
    return path.suffix == ".npz" and path.with_suffix(".json").exists()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts frame 2 before frame 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))

"""The alignment as `registration.json`, the file that the command line reads and writes too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from hsimisr.cube import CubeSource, FrameStack
from hsimisr.errors import StackError, WriteError
from hsimisr.physics.types import Registration
from hsimisr.registration.store import for_frames, read_registration_file, write_registration
from napari_hsimisr.layers import cube_of
from napari_hsimisr.session import Session


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a file says about frames."""

    layers: tuple[Image, ...]
    registration: Registration
    psf: str
    noise: npt.NDArray[np.float64]
    path: Path


@dataclass(frozen=True, eq=False)
class Loading:
    """Which frames to look up: taken from the session on the GUI thread, carried out on another by `read`."""

    layers: tuple[Image, ...]
    stack: FrameStack
    path: Path

    def read(self) -> Loaded:
        """Read the file; raises ReadError where it is damaged, StackError where it does not fit the frames."""
        registration = for_frames(self.path, self.stack)
        content = read_registration_file(self.path)
        noise = np.array([np.nan if sigma is None else sigma for sigma in content.noise])
        return Loaded(self.layers, registration, content.psf.kind, noise, self.path)


@dataclass(frozen=True, eq=False)
class Saving:
    """What to write: taken from the session on the GUI thread, carried out on another by `write`."""

    registration: Registration
    sources: tuple[CubeSource, ...]
    psf: str
    psf_stderr: tuple[float, float, float] | None
    noise: npt.NDArray[np.float64]
    noise_stderr: npt.NDArray[np.float64] | None
    path: Path

    def write(self) -> list[Path]:
        """Write the file, and its local fields beside it; raises WriteError."""
        return write_registration(
            self.path, self.registration, self.sources, self.noise, self.psf, self.psf_stderr, self.noise_stderr
        )


def plan_loading(session: Session, path: Path) -> Loading:
    """Look for the motions of the frames that take part; raises StackError where there are none."""
    layers, reference = session.included, session.reference
    if reference is None:
        raise StackError(f"{path}: there are no frames that it could belong to; open them first")
    cubes = tuple(cube for layer in layers if (cube := cube_of(layer)) is not None)
    return Loading(tuple(layers), FrameStack(cubes, layers.index(reference)), path)


def plan_saving(session: Session, path: Path) -> Saving:
    """Take the motions as they stand, those of frames that a person left out marked so.

    Raises:
        WriteError: nothing is known yet, motions belong to one view only, or frames come from no file.
        StackError: a frame that takes part has no motion.
    """
    state, reference = session.alignment.state, session.motion_reference
    if reference is None or reference not in session.frames:
        raise WriteError(f"{path}: there is no alignment yet; press Register, or move a frame")
    if state.provisional and not state.fixed:
        raise WriteError(
            f"{path}: these motions were found around one view only; refine everything first, or tick “Use as it is” "
            "to vouch for them"
        )
    layers = [layer for layer in session.frames if layer in session.included or layer in state.motions]
    if reference not in layers:
        layers.insert(0, reference)
    registration = session.alignment.registration(layers, reference)
    frames = [
        replace(motion, excluded=True, reason="left out by hand") if layer in state.left_out else motion
        for layer, motion in zip(layers, registration.frames, strict=True)
    ]
    cubes = [cube for layer in layers if (cube := cube_of(layer)) is not None]
    sources = tuple(cube.source for cube in cubes if cube.source is not None)
    if len(sources) < len(cubes):
        homeless = ", ".join(cube.name for cube in cubes if cube.source is None)
        raise WriteError(
            f"{path}: a registration names the files of its frames, and {homeless} comes from none; save these frames, "
            "open the files, and register those"
        )
    noise = np.full(cubes[0].bands, np.nan) if state.noise is None else state.noise
    told, psf = replace(registration, frames=tuple(frames)), state.psf or session.config.psf
    return Saving(told, sources, psf, state.psf_stderr, noise, state.noise_stderr, path)

"""The working folder of a run: what was asked for, the scene model, and the tiles that are done.

A run that was stopped goes on from there. The folder stands beside the output and goes when that is complete.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hsimisr
from hsimisr.cube import FrameStack
from hsimisr.errors import WriteError
from hsimisr.geometry import View
from hsimisr.physics.types import Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.identity import identity_of
from hsimisr.pipeline.scene_file import digest, read_scene, write_scene
from hsimisr.pipeline.tiles import tiles_of

REQUEST, SCENE, TILES = "request.json", "scene.npz", "tiles-"


@dataclass(frozen=True)
class TileStore:
    """The working folder of a run over a view; see `open_store`."""

    folder: Path
    view: View

    @property
    def scene(self) -> SceneModel | None:
        """The scene model that all tiles share, or None where it is not estimated yet."""
        path = self.folder / SCENE
        return read_scene(path) if path.exists() else None

    def keep_scene(self, scene: SceneModel) -> None:
        write_scene(self.folder / SCENE, scene)

    @property
    def side(self) -> int | None:
        """Side of the tiles that are there, LR pixels, or None where there are none."""
        sides = [int(path.name.removeprefix(TILES)) for path in self.folder.glob(f"{TILES}*")]
        return sides[0] if sides else None

    def cut(self, side: int) -> dict[View, Path]:
        """The tiles of the view and where each is once it is done; tiles of another side go."""
        for other in self.folder.glob(f"{TILES}*"):
            if other.name != f"{TILES}{side}":
                shutil.rmtree(other)
        (self.folder / f"{TILES}{side}").mkdir(exist_ok=True)
        return self._paths(side)

    def progress(self) -> tuple[int, int]:
        """How many tiles are done, and of how many; none of none before the view is cut."""
        paths = self._paths(self.side) if self.side else {}
        return sum(path.exists() for path in paths.values()), len(paths)

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def _paths(self, side: int) -> dict[View, Path]:
        folder = self.folder / f"{TILES}{side}"
        return {t: folder / f"{t.y0}-{t.y1},{t.x0}-{t.x1}.zarr" for t in tiles_of(self.view, side)}


def store_folder(out: Path) -> Path:
    """Where the working folder of an output stands."""
    return out.absolute().with_name(f".{out.name}.tiles")


def open_store(out: Path, view: View, request: dict[str, Any]) -> tuple[TileStore, str]:
    """Open the working folder of an output; one of another request is emptied.

    Args:
        request: what the tiles follow from, see `request_of`.

    Returns:
        The store, and what is to be told about it ("" where it is new).

    Raises:
        WriteError: the folder cannot be written, or holds other things.
    """
    store = TileStore(store_folder(out), view)
    asked, note = store.folder / REQUEST, ""
    text = json.dumps(request, indent=1, sort_keys=True)
    try:
        if asked.exists() and asked.read_text(encoding="utf-8") == text:
            done, total = store.progress()
            return store, f"resuming: {done} of {total} tiles are there" if total else "resuming: no tile is there yet"
        if asked.exists():
            note = f"starting anew: {store.folder.name} holds tiles of another request, they are discarded"
            store.remove()
        store.folder.mkdir(exist_ok=True)
        if any(store.folder.iterdir()):
            raise WriteError(f"{store.folder}: holds things that are no tiles; move it away, or choose another --out")
        asked.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WriteError(
            f"{store.folder}: cannot be written ({error.strerror or error}); check permissions and free space"
        ) from error
    return store, note


def request_of(
    stack: FrameStack, config: PipelineConfig, view: View, registration: Registration | None, seed: int
) -> dict[str, Any]:
    """What the tiles of a run follow from, as plain values; two runs that agree in it make the same tiles."""
    return {
        "version": hsimisr.__version__,
        "frames": [identity_of(frame) for frame in stack.frames],
        "reference": stack.reference,
        "config": config.dump(),
        "view": str(view),
        "registration": None if registration is None else digest(registration),
        "seed": seed,
    }

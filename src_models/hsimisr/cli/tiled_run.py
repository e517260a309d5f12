"""Runs of `hsimisr refine` whose tiles go to disk: when they are needed, what is told, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import typer

from hsimisr.cli.progress import ProgressBar
from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import choose_device, free_memory
from hsimisr.pipeline.memory import check_expanded, fits
from hsimisr.pipeline.tile_store import TileStore, open_store, request_of
from hsimisr.pipeline.tiled import refine_tiled
from hsimisr.pipeline.tiled_result import TiledResult
from hsimisr.pipeline.workers import Workers, connect, start_workers

IN_MEMORY = (".npz", ".mat")
"""Formats that are written from memory, not chunk by chunk."""


def needs_tiles(stack: FrameStack, settings: PipelineConfig, view: View) -> bool:
    """Whether the result may not fit into memory."""
    rank = MAX_RANK if settings.subspace.rank == "auto" else settings.subspace.rank
    return not fits(view, stack.bands, rank, settings.scale, _free())


def worker_processes(count: int | None, address: str | None, device: str) -> AbstractContextManager[Workers | None]:
    """The workers that the options ask for, or None for this process alone."""
    if count is not None:
        return start_workers(count, device)
    return nullcontext() if address is None else connect(address, device)


@contextmanager
def tiled_result(
    out: Path,
    stack: FrameStack,
    settings: PipelineConfig,
    view: View,
    known: Registration | None,
    context: Context,
    bar: ProgressBar,
    processes: AbstractContextManager[Workers | None],
    with_truth: bool,
) -> Iterator[TiledResult]:
    """Refine tile by tile; the tiles go when the body has saved them, and stay when the run is stopped before.

    Raises:
        MemoryLimitError: the output or the comparison with a truth has to be in memory, and does not fit.
    """
    if out.suffix.lower() in IN_MEMORY:
        instead = f"{out}: a {out.suffix} file is written from memory; save as .zarr, .nc, .tif or .hdr"
        check_expanded(instead, view, stack.bands, settings.scale, _free())
    if with_truth:
        instead = "--truth: the comparison holds both cubes in memory; leave it out, or refine a --view"
        check_expanded(instead, view, stack.bands, settings.scale, _free())
    store, note = open_store(out, view, request_of(stack, settings, view, known, context.seed))
    if note:
        typer.echo(note, err=True)
    with _kept_when_stopped(store):
        with processes as workers, bar:
            result = refine_tiled(stack, settings, store, context, known, workers)
        yield result
    store.remove()


@contextmanager
def _kept_when_stopped(store: TileStore) -> Iterator[None]:
    """Tell where the tiles are when Ctrl-C stops a run, or leave nothing where there are none."""
    try:
        yield
    except BaseException as error:
        done, total = store.progress()
        if not done:
            store.remove()
        elif isinstance(error, KeyboardInterrupt):
            line = f"{done} of {total} tiles are kept in {store.folder}; the same command goes on with them"
            typer.echo(line, err=True)
        raise


def _free() -> int:
    return free_memory(choose_device("cpu"))

"""`hsimisr refine`: several LR frames in, one sharper cube with error bars out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsimisr.cli.evaluate import cut_truth
from hsimisr.cli.options import (
    BandsAsFrames,
    Device,
    Frames,
    PresetOption,
    PsfOption,
    Reference,
    Scale,
    SchedulerOption,
    Sets,
    Settings,
    WorkersOption,
)
from hsimisr.cli.progress import ProgressBar
from hsimisr.geometry import Grid, View
from hsimisr.io.open import open_cube, open_frames
from hsimisr.io.write import check_path
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.presets import preset_values
from hsimisr.registration.store import for_frames, read_registration_file
from hsimisr.report.path import check_report_path

if TYPE_CHECKING:
    from hsimisr.cube import Cube, FrameStack
    from hsimisr.pipeline.events import Result
    from hsimisr.pipeline.tiled_result import TiledResult


def refine(
    frames: Frames,
    out: Annotated[Path, typer.Option(help=".hdr, .tif, .nc, .mat, .zarr or .npz")],
    scale: Scale = None,
    psf: PsfOption = None,
    preset: PresetOption = None,
    config: Settings = None,
    sets: Sets = None,
    view: Annotated[str | None, typer.Option(help="y0:y1,x0:x1 in reference pixels; default all")] = None,
    registration: Annotated[Path | None, typer.Option(help="motion to use as it is, with its PSF")] = None,
    truth: Annotated[str | None, typer.Option(help="a truth to compare with")] = None,
    reference: Reference = 0,
    bands_as_frames: BandsAsFrames = False,
    device: Device = "auto",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    report: Annotated[Path | None, typer.Option(help="an .html page on what was done and found, with pictures")] = None,
) -> None:
    """Super-resolve FRAMES and write the refined cube, its standard deviation and OUT.json.

    A result too large for memory, or one that workers share, is made of tiles in a hidden folder beside OUT; the same
    command goes on with them if it was stopped.
    """
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    stored = {} if registration is None else {"psf": read_registration_file(registration).psf.kind}
    chosen = None if preset is None else preset_values(preset)
    settings = PipelineConfig.build(config, {"scale": scale, "psf": psf}, sets, stored, chosen)
    check_path(out)
    if report is not None:
        check_report_path(report)
    stack = open_frames(frames, reference, bands_as_frames)
    whole = View.whole(stack.reference_frame.shape_yx)
    window = whole if view is None else View.parse(view).clipped(whole.shape)
    target = None if truth is None else _target(truth, out, settings.scale, window)
    known = None if registration is None else for_frames(registration, stack)
    from hsimisr.cli.tiled_run import needs_tiles, tiled_result, worker_processes
    from hsimisr.pipeline.context import Context  # torch is loaded only when there is work for it
    from hsimisr.pipeline.device import choose_device, use_available_threads
    from hsimisr.pipeline.run import refine as run

    use_available_threads()
    bar = ProgressBar()
    context = Context(0, choose_device(device), seed, bar, threading.Event())
    if workers is None and scheduler is None and not needs_tiles(stack, settings, window):
        with bar:
            result = run(stack, settings, view=window, registration=known, context=context)
        _save(out, result, result.estimate.grid, stack, seed, target, report, registration)
        return
    processes = worker_processes(workers, scheduler, device)
    with tiled_result(out, stack, settings, window, known, context, bar, processes, target is not None) as tiled:
        _save(out, tiled, tiled.grid, stack, seed, target, report, registration)


def _save(
    out: Path,
    result: Result | TiledResult,
    grid: Grid,
    stack: FrameStack,
    seed: int,
    target: Cube | None,
    report: Path | None,
    registration: Path | None,
) -> None:
    from hsimisr.pipeline.save import save_result

    saved = save_result(out, result, stack, seed, target=target)
    if report is not None:
        from hsimisr.report.page import write_report

        write_report(report, result, stack, seed, saved.provenance, registration)
    _tell(out, result, grid, saved.provenance)


def _target(truth: str, out: Path, scale: int, view: View) -> Cube:
    """The truth of a view; a truth that does not fit is told before the work, not after it."""
    return cut_truth(open_cube(truth), out.name, Grid.of_view(view, scale).shape, scale, view)


def _tell(out: Path, result: Result | TiledResult, grid: Grid, provenance: dict[str, Any]) -> None:
    scene = result.scene
    used, total = len(scene.registration.included), len(scene.registration.frames)
    typer.echo(
        f"{out}: {scene.subspace.bands} bands, {grid.shape[0]} x {grid.shape[1]} pixels at x{grid.scale} "
        f"from {used} of {total} frames, {scene.subspace.rank} eigen-images, "
        f"{sum(provenance['timings'].values()):.1f} s"
    )
    if provenance["determined_share"] is not None:
        typer.echo(f"the frames determine {provenance['determined_share']:.0%} of the detail, the rest is inferred")
    for stage, name in (("refine", "learned refinement"), ("diffuse", "diffusion")):
        for gate in (provenance["learned"] or {}).get(stage, []):
            typer.echo(f"{name}: {gate['reason']}")
    for frame in provenance["frames"]:
        if frame["reason"]:
            typer.echo(f"{'left out' if frame['excluded'] else 'note on'} {frame['name']}: {frame['reason']}")
    if "metrics" in provenance:
        typer.echo("against the truth: " + ", ".join(f"{k} {v:.3f}" for k, v in provenance["metrics"].items()))

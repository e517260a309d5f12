"""`hsimisr refine`: several LR frames in, one sharper cube with error bars out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsimisr import __version__, metrics
from hsimisr.cli.evaluate import cut_truth
from hsimisr.cli.options import BandsAsFrames, Device, Frames, PsfOption, Reference, Scale, Sets, Settings
from hsimisr.cli.plain_json import to_json
from hsimisr.cli.progress import ProgressBar
from hsimisr.geometry import Grid, View
from hsimisr.io.open import open_cube, open_frames
from hsimisr.io.write import check_path, write_cube
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.registration.store import for_frames, read_registration_file

if TYPE_CHECKING:
    from hsimisr.cube import Cube
    from hsimisr.pipeline.events import Result


def refine(
    frames: Frames,
    out: Annotated[Path, typer.Option(help=".hdr, .tif, .nc, .mat, .zarr or .npz")],
    scale: Scale = None,
    psf: PsfOption = None,
    config: Settings = None,
    sets: Sets = None,
    view: Annotated[str | None, typer.Option(help="y0:y1,x0:x1 in reference pixels; default all")] = None,
    registration: Annotated[Path | None, typer.Option(help="motion to use as it is, with its PSF")] = None,
    truth: Annotated[str | None, typer.Option(help="a truth to compare with")] = None,
    reference: Reference = 0,
    bands_as_frames: BandsAsFrames = False,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Super-resolve FRAMES and write the refined cube, its standard deviation and OUT.json."""
    stored = {} if registration is None else {"psf": read_registration_file(registration).psf.kind}
    settings = PipelineConfig.build(config, {"scale": scale, "psf": psf}, sets, stored)
    check_path(out)
    stack = open_frames(frames, reference, bands_as_frames)
    whole = View.whole(stack.reference_frame.shape_yx)
    window = None if view is None else View.parse(view).clipped(whole.shape)
    target = None if truth is None else _target(truth, out, settings.scale, window or whole)
    known = None if registration is None else for_frames(registration, stack)
    from hsimisr.pipeline.context import Context  # torch is loaded only when there is work for it
    from hsimisr.pipeline.device import choose_device, use_available_threads
    from hsimisr.pipeline.export import refined_cube, uncertainty_cube
    from hsimisr.pipeline.run import refine as run

    use_available_threads()
    with ProgressBar() as bar:
        context = Context(0, choose_device(device), seed, bar, threading.Event())
        result = run(stack, settings, view=window, registration=known, context=context)
    cube = refined_cube(result, stack.reference_frame)
    provenance = _provenance(result, [frame.name for frame in stack.frames], seed)
    if target is not None:
        provenance["metrics"] = metrics.evaluate(target.read(), cube.read(), settings.scale).summary()
    write_cube(out, cube, uncertainty_cube(result, stack.reference_frame), provenance)
    sidecar = Path(f"{out}.json")
    sidecar.write_text(to_json(provenance), encoding="utf-8")
    _report(out, result, provenance)


def _target(truth: str, out: Path, scale: int, view: View) -> Cube:
    """The truth of a view; a truth that does not fit is told before the work, not after it."""
    return cut_truth(open_cube(truth), out.name, Grid.of_view(view, scale).shape, scale, view)


def _provenance(result: Result, names: list[str], seed: int) -> dict[str, Any]:
    registration = result.scene.registration
    return {
        "hsimisr": __version__,
        "config": result.config.dump(),
        "seed": seed,
        "device": result.diagnostics["device"],
        "view": result.diagnostics["view"],
        "timings": result.diagnostics["timings"],
        "rank": result.scene.subspace.rank,
        "frames": [
            {"name": name, "shift": frame.shift.tolist(), "excluded": frame.excluded, "reason": frame.reason}
            for name, frame in zip(names, registration.frames, strict=True)
        ],
    }


def _report(out: Path, result: Result, provenance: dict[str, Any]) -> None:
    grid, scene = result.estimate.grid, result.scene
    used, total = len(scene.registration.included), len(scene.registration.frames)
    typer.echo(
        f"{out}: {scene.subspace.bands} bands, {grid.shape[0]} x {grid.shape[1]} pixels at x{grid.scale} "
        f"from {used} of {total} frames, {scene.subspace.rank} eigen-images, "
        f"{sum(provenance['timings'].values()):.1f} s"
    )
    for frame in provenance["frames"]:
        if frame["excluded"]:
            typer.echo(f"left out {frame['name']}: {frame['reason']}")
    if "metrics" in provenance:
        typer.echo("against the truth: " + ", ".join(f"{k} {v:.3f}" for k, v in provenance["metrics"].items()))

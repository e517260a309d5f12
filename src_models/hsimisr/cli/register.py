"""`hsimisr register`: the motion of every frame, written to a file that `refine` and the app take."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hsimisr.cli.options import BandsAsFrames, Device, Frames, PsfOption, Reference, Scale, Sets, Settings
from hsimisr.cli.progress import ProgressBar
from hsimisr.io.open import open_frames
from hsimisr.io.write import check_folder
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig


def register(
    frames: Frames,
    out: Annotated[Path, typer.Option(help="registration.json")],
    scale: Scale = None,
    psf: PsfOption = None,
    config: Settings = None,
    sets: Sets = None,
    reference: Reference = 0,
    bands_as_frames: BandsAsFrames = False,
    device: Device = "auto",
) -> None:
    """Find how the frames moved against the reference, with error bars."""
    settings = PipelineConfig.build(config, {"scale": scale, "psf": psf}, sets)
    check_folder(out)
    stack = open_frames(frames, reference, bands_as_frames)
    from hsimisr.pipeline.context import Context  # torch is loaded only when there is work for it
    from hsimisr.pipeline.device import choose_device, use_available_threads
    from hsimisr.pipeline.scene import estimate_scene
    from hsimisr.registration.store import write_registration

    use_available_threads()
    with ProgressBar() as bar:
        context = Context(0, choose_device(device), 0, bar, threading.Event())
        scene = estimate_scene(stack, settings, context)
    sources = [frame.source for frame in stack.frames if frame.source is not None]
    write_registration(out, scene.registration, sources, scene.noise, settings.psf)
    Console().print(motion_table(scene.registration, [frame.name for frame in stack.frames]))


def motion_table(registration: Registration, names: list[str]) -> Table:
    """Shift and error bar of every frame, and why a frame was left out."""
    table = Table("frame", "dy [px]", "dx [px]", "remarks")
    for k, (name, frame) in enumerate(zip(names, registration.frames, strict=True)):
        shift, error = frame.shift, frame.covariance.diagonal() ** 0.5
        remarks = "reference" if k == registration.reference else frame.reason
        cells = [f"{d:+.4f} ± {e:.4f}" for d, e in zip(shift, error, strict=True)]
        table.add_row(name, *cells, remarks)
    return table

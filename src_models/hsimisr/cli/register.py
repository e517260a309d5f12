"""`hsimisr register`: the motion of every frame, written to a file that `refine` and the app take."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from hsimisr.cli.options import BandsAsFrames, Device, Frames, PsfOption, Reference, Scale, Sets, Settings
from hsimisr.cli.progress import ProgressBar
from hsimisr.cube import FrameStack
from hsimisr.geometry import View
from hsimisr.io.open import open_frames
from hsimisr.io.write import check_folder
from hsimisr.physics.types import Float32, Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig

Bound = npt.NDArray[np.float64]


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
    from hsimisr.registration.bounds import known_scene_bound, unknown_scene_bound
    from hsimisr.registration.store import write_registration

    use_available_threads()
    bounds: list[Bound] = []

    def bound(fitted: SceneModel, images: Float32, view: View) -> None:
        """Bounds for the part that the motion was found from, its estimate taken for the scene."""
        bounds[:] = [unknown_scene_bound(fitted, view.shape), known_scene_bound(fitted, images)]

    with ProgressBar() as bar:
        context = Context(0, choose_device(device), 0, bar, threading.Event())
        scene = estimate_scene(stack, settings, context, on_fitted=bound)
    sources = [frame.source for frame in stack.frames if frame.source is not None]
    write_registration(out, scene.registration, sources, scene.noise, scene.psf, scene.psf_stderr, scene.noise_stderr)
    Console().print(motion_table(scene.registration, stack, *bounds))
    typer.echo("bound, known: the least standard error of a shift (Cramér-Rao), and the least if the scene were known")
    if scene.psf_stderr is not None:
        typer.echo(f"PSF found from the frames: {scene.psf}, width ± {scene.psf_stderr[0]:.2f} px")
    typer.echo(noise_line(scene.noise, scene.noise_stderr))


def motion_table(registration: Registration, stack: FrameStack, unknown: Bound, known: Bound) -> Table:
    """How the middle of the reference moved in every frame, its error bar and bounds, and remarks on the frame.

    Args:
        unknown, known: least covariances ``(K, 2, 2)`` of the shift with the scene unknown, and known, LR px squared.
    """
    from hsimisr.physics.motion import forward_motion

    shift = [Column(f"{axis} [px]", min_width=len("+1.2345")) for axis in ("dy", "dx")]
    columns: tuple[str | Column, ...] = ("frame", "model", *shift, "bound", "known", "gain", "chi2", "remarks")
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    middle = (np.array(stack.reference_frame.shape_yx) - 1) / 2
    for k, (frame, motion) in enumerate(zip(stack.frames, registration.frames, strict=True)):
        if k == registration.reference:
            table.add_row(
                frame.name, "", "0", "0", "", "", "", _number(motion.chi2, ".2f"), motion.reason or "reference"
            )
            continue
        moved = forward_motion(motion, middle) - middle
        error = motion.covariance.diagonal() ** 0.5
        cells = [f"{d:+.4f} ±{e:.4f}" for d, e in zip(moved, error, strict=True)]
        cells += [_number(float(np.sqrt(np.trace(bound[k]) / 2)), ".4f") for bound in (unknown, known)]
        table.add_row(
            frame.name, motion.model, *cells, f"{motion.gain:.3f}", _number(motion.chi2, ".2f"), motion.reason
        )
    return table


def noise_line(sigma: npt.NDArray[np.float64], stderr: npt.NDArray[np.float64] | None) -> str:
    """The noise of the middle band, from the noise ``(B,)`` and its standard errors, which fixed noise does not have.

    Both are NaN at bad bands; a band too clean for its noise to be told has noise and no standard error.
    """
    middle = f"{np.nanmedian(sigma):.3g}"
    if stderr is None:
        return f"noise fixed: {middle} (median over bands)"
    known = stderr[np.isfinite(stderr)]
    error = f" ± {np.median(known):.2g}" if known.size else ", the least that is ever assumed"
    return f"noise found from the frames: {middle}{error} (median over bands)"


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else ""

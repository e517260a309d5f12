"""``hsimisr simulate``: frames of a scene whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import dask.array as da
import numpy as np
import typer

from hsimisr.cube import CubeSource
from hsimisr.errors import ReadError, WriteError
from hsimisr.geometry import View, rescaled_transform
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube
from hsimisr.physics import simulator
from hsimisr.registration.store import write_registration


def simulate(
    scene: Annotated[str, typer.Argument(help="the HR cube, as FILE or FILE:VARIABLE")],
    out: Annotated[Path, typer.Option(help="folder for frame-00.hdr ..., registration.json and truth/truth.hdr")],
    scale: Annotated[int, typer.Option(min=1, help="scene pixels per LR pixel, along one axis")] = 2,
    frames: Annotated[int, typer.Option(min=1, help="number of frames; the first is the reference")] = 8,
    psf: Annotated[str, typer.Option(help="box, mtf:<MTF at Nyquist>, gauss:<FWHM> or bicubic")] = "mtf:0.29",
    snr: Annotated[float, typer.Option(help="dB, from the rms of each band; inf for no noise")] = 30.0,
    motion: Annotated[simulator.Motion, typer.Option(help="how the frames move")] = "shift",
    max_shift: Annotated[float, typer.Option(min=0, help="largest shift along an axis, LR pixels")] = 2.0,
    gain_spread: Annotated[float, typer.Option(min=0, help="standard deviation of the gain between frames")] = 0.0,
    shot: Annotated[bool, typer.Option("--shot", help="let the noise grow with the signal")] = False,
    seed: Annotated[int, typer.Option(min=0, help="the same seed gives the same frames")] = 0,
) -> None:
    """Simulate LR frames of SCENE and write them with the truth and the true motion."""
    files = [out / f"frame-{k:02d}.hdr" for k in range(frames)]
    _check_folder(out, files)
    cube = open_cube(scene)
    knobs = {"scale": scale, "psf": psf, "snr": snr, "motion": motion, "max_shift": max_shift, "seed": seed}
    simulation = simulator.simulate(cube.read(), scale, frames, psf, snr, motion, max_shift, seed, shot, gain_spread)
    bad = np.isnan(simulation.sigma)
    if bad.all():
        raise ReadError(f"{scene}: every band has pixels without data; cut out a part that is covered")

    top, left = simulation.origin_yx
    height, width = simulation.truth.shape[1:]
    footprint = replace(cube, bad=bad, nodata=None).crop(View(top, top + height, left, left + width))
    provenance = {
        "simulated": {**knobs, "frames": frames, "shot": shot, "gain_spread": gain_spread, "scene": cube.name}
    }
    try:
        (out / "truth").mkdir(parents=True, exist_ok=True)  # apart, so that the folder is a stack of frames
    except OSError as error:
        raise WriteError(f"{out}: cannot be made a folder ({error.strerror}); choose another --out") from error
    for k, (file, pixels) in enumerate(zip(files, simulation.frames, strict=True)):
        # only the reference keeps coordinates: the others do not know where they look
        transform = rescaled_transform(footprint.transform, 1 / scale) if k == 0 else None
        write_cube(file, replace(footprint, data=da.from_array(pixels), transform=transform), provenance=provenance)
    truth = replace(footprint, data=da.from_array(simulation.truth))
    write_cube(out / "truth" / "truth.hdr", truth, provenance=provenance)
    sources = [CubeSource(str(file)) for file in files]
    write_registration(out / "registration.json", simulation.registration, sources, simulation.sigma, psf)

    h, w = simulation.frames.shape[2:]
    typer.echo(f"{out}: {frames} frames of {h} x {w} pixels, registration.json and truth/truth.hdr")
    emptied = int((bad & ~cube.bad).sum())
    if emptied:
        typer.echo(f"{emptied} bands have pixels without data and are empty in every frame")


def _check_folder(out: Path, files: list[Path]) -> None:
    """Refuse a folder whose frames would not all be replaced: it would become a stack of two simulations."""
    stale = sorted(set(out.glob("frame-*.hdr")) - set(files))
    if stale:
        raise WriteError(f"{out}: holds {stale[0].name} of another simulation; empty it, or choose another --out")

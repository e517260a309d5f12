"""`hsimisr train`: make the weights of the refiner."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from hsimisr.cli.options import Device

if TYPE_CHECKING:
    from hsimisr.training.journal import Line


def train(
    recipe: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe that comes along: refiner")],
    data: Annotated[Path | None, typer.Option(help="folder of the cubes that the recipe names")] = None,
    out: Annotated[Path, typer.Option(help="folder for weights, card and log; a run in it is gone on with")] = Path(
        "training"
    ),
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="processes that make samples (default: one for each core left over)")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="stop after this time; go on another day")] = None,
    start: Annotated[Path | None, typer.Option(help="weights of another training to begin from")] = None,
) -> None:
    """Train the refiner by RECIPE; the same command goes on with a training that was stopped (Ctrl-C)."""
    import torch

    from hsimisr.pipeline.device import choose_device, use_available_threads
    from hsimisr.training.recipe import Recipe
    from hsimisr.training.train import train as run

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    plan = Recipe.load(recipe)
    where = choose_device(device)
    cores = use_available_threads()
    if workers is None:
        workers = max(cores - 1 if where.type == "cuda" else cores // 2, 1)
    torch.set_num_threads(max(cores - workers, 1))
    with stop_at_ctrl_c() as stop:
        outcome = run(plan, data, out, where, stop, workers, minutes, start, _report)
    gain = f", validation {outcome.gain:+.2f} dB over the linear estimate" if math.isfinite(outcome.gain) else ""
    state = "finished" if outcome.finished else "stopped; the same command goes on"
    typer.echo(f"{out}: {outcome.step} steps{gain}, {state}")


def _report(line: Line) -> None:
    validated = math.isfinite(line.validation_gain_db)
    typer.echo(
        f"step {line.step:6d}  {line.seconds:7.0f} s ({line.waited_seconds:.0f} s waiting for samples)  "
        f"loss {line.loss:+.4f}  training {line.training_gain_db:+.2f} dB"
        + (f"  validation {line.validation_gain_db:+.2f} dB" if validated else "")
    )


@contextmanager
def stop_at_ctrl_c() -> Iterator[threading.Event]:
    """The first Ctrl-C raises a flag, at which the step in hand is finished and saved; the second ends at once."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        typer.echo("stopping after this step; Ctrl-C again stops at once", err=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)

"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Frames = Annotated[list[str], typer.Argument(help="frames: files, FILE:VARIABLE, 4-D stacks or folders")]
Reference = Annotated[int, typer.Option(min=0, help="which frame defines the grid, counted from 0")]
BandsAsFrames = Annotated[
    bool, typer.Option("--bands-as-frames", help="take each image of a 3-D array as a frame of one band")
]
Scale = Annotated[int | None, typer.Option(min=1, max=8, help="HR pixels per LR pixel (default 2)")]
PsfOption = Annotated[
    str | None,
    typer.Option(
        help="box, mtf:<MTF at Nyquist>, gauss:<FWHM>, both also as <along>,<across>,<angle>; bicubic; "
        "or auto: found from the frames (default mtf:0.29)"
    ),
]
Settings = Annotated[Path | None, typer.Option("--config", help="YAML file with settings")]
PresetOption = Annotated[
    str | None,
    typer.Option(help="settings to begin with: fast, balanced, best or radiometric; --config goes over them"),
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="one setting, key=value; repeat for more")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<number>")]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="spread the tiles over N processes on this machine (extra `cluster`)")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="spread the tiles over a running dask cluster, for example tcp://10.0.0.1:8786; "
        "the frames and OUT have to be on a file system that its workers share",
    ),
]

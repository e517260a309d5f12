"""The stream of events as a progress bar on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from hsimisr.pipeline.events import Event, Preview, Progress


class ProgressBar:
    """A sink that shows the stage in hand; silent where standard error is not a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        stage, what = TextColumn("{task.fields[stage]:>9}"), TextColumn("{task.description}")
        self._bar = Bar(
            stage,
            BarColumn(),
            what,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, stage="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Progress(stage=stage, step=step, total=total, message=message):
                self._bar.update(self._task, stage=stage, completed=step, total=total, description=message)
            case Preview(stage=stage):
                self._bar.update(self._task, stage=stage, description="first picture ready")

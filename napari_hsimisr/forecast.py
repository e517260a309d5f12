"""What a run will take, told before it starts: seconds from runs like it, bytes from the sizes of its tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hsimisr.errors import MemoryLimitError
from hsimisr.geometry import View
from hsimisr.physics.config import MAX_RANK
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.pipeline.memory import fits, job_bytes
from napari_hsimisr.history import Run

LONG_S = 60.0
"""Seconds from which a run is worth a question."""
PER_PIXEL = ("invert_s", "baseline_s")
"""Timings that grow with the view; the others belong to the frames."""
WAY_OUT = "Refine a region or the view instead, or everything with “hsimisr refine”, which keeps its tiles on disk."


@dataclass(frozen=True)
class Forecast:
    """What is expected of a run.

    Attributes:
        seconds: how long, or None where no run with these settings tells.
        nbytes: most memory of it, or None where not even its smallest tile fits.
        free: bytes that there are.
        fits: whether there is room for it.
    """

    seconds: float | None
    nbytes: int | None
    free: int
    fits: bool

    @property
    def is_heavy(self) -> bool:
        """Whether a person should be asked first."""
        return not self.fits or (self.seconds is not None and self.seconds > LONG_S)

    @property
    def text(self) -> str:
        """For people, on one line."""
        need = "more memory than there is" if self.nbytes is None else f"up to {_gib(self.nbytes)} GiB"
        time = "a time that no run with these settings tells yet" if self.seconds is None else _span(self.seconds)
        return f"{time}, {need} ({_gib(self.free)} GiB are free)"


def forecast(runs: Iterable[Run], config: PipelineConfig, frames: int, bands: int, view: View, free: int) -> Forecast:
    """What refining a view of some frames of so many bands takes.

    Args:
        runs: those that have finished, the newest last; the newest with the same settings and as many frames counts.
    """
    alike = [run for run in runs if run.result.config == config and len(run.request.layers) == frames]
    rank = config.subspace.rank
    if alike:
        rank = alike[-1].result.estimate.subspace.rank
    elif rank == "auto":
        rank = MAX_RANK
    learned = not (isinstance(config.refine, NoStage) and isinstance(config.diffuse, NoStage))
    try:
        nbytes = job_bytes(view, frames, bands, rank, config.scale, free, learned)
    except MemoryLimitError:
        nbytes = None
    room = nbytes is not None and fits(view, bands, rank, config.scale, free)
    return Forecast(_seconds(alike, view), nbytes, free, room)


def _seconds(alike: list[Run], view: View) -> float | None:
    """The newest run's time per pixel, and the longest that any of them needed for the frames themselves."""
    if not alike:
        return None
    newest = alike[-1]
    h, w = newest.result.estimate.grid.view.shape
    per_pixel = sum(newest.result.diagnostics["timings"].get(lap, 0.0) for lap in PER_PIXEL) / (h * w)
    once = max(run.seconds - sum(run.result.diagnostics["timings"].get(lap, 0.0) for lap in PER_PIXEL) for run in alike)
    return float(once + per_pixel * view.shape[0] * view.shape[1])


def _gib(nbytes: int) -> str:
    return f"{nbytes / 2**30:.2g}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"

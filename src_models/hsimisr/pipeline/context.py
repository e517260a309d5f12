"""What a stage may know of its surroundings: device, seed, whether to stop, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hsimisr.errors import Cancelled
from hsimisr.pipeline.events import Progress, Sink

if TYPE_CHECKING:
    import torch


class Cancel(Protocol):
    """A flag that another thread or process can raise: `threading.Event` and `multiprocessing.Event` are such."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class Context:
    """Handed to every stage; a stage holds no other state."""

    job: int
    device: torch.device
    seed: int
    sink: Sink
    cancel: Cancel

    def check(self) -> None:
        """Raise Cancelled when the job was asked to stop."""
        if self.cancel.is_set():
            raise Cancelled

    def progress(self, stage: str, step: int, total: int, message: str = "") -> None:
        """Tell how far a stage is, and stop here if asked to."""
        self.check()
        self.sink(Progress(self.job, stage, step, total, message))

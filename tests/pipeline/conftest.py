"""A small simulated stack, jobs on it, and a listener that notes what it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Cancelled, Failed, Finished, Progress
from hsimisr.pipeline.job import Job
from hsimisr.pipeline.run import run

BANDS = 12
TERMINAL = (Finished, Failed, Cancelled)


@dataclass
class Listener:
    """Notes events; raises the cancel flag when told event number `stop_at` of the kind Progress."""

    stop_at: int | None = None
    events: list = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)

    def __call__(self, event) -> None:
        self.events.append(event)
        if self.stop_at is not None and isinstance(event, Progress) and len(self.of(Progress)) == self.stop_at:
            self.cancel.set()

    def of(self, kind) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def end(self):
        """The one terminal event, which must be the last."""
        assert [isinstance(event, TERMINAL) for event in self.events].index(True) == len(self.events) - 1
        return self.events[-1]


def cubes_of(frames, **metadata) -> tuple[Cube, ...]:
    return tuple(Cube.from_array(frame, name=f"frame {k}", **metadata) for k, frame in enumerate(frames))


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    """Four frames of 32 x 32 pixels at scale 2, 12 bands."""
    return simulate(town((82, 82), bands=BANDS, seed=3).cube, 2, 4, snr=30, max_shift=1.8, seed=1)


@pytest.fixture(scope="session")
def stack(simulation) -> FrameStack:
    return FrameStack(cubes_of(simulation.frames))


@pytest.fixture(scope="session")
def carry_out():
    """Run a job of some frames and return its listener."""

    def carry_out(frames, stop_at=None, cache=None, options=None, **more) -> Listener:
        listener = Listener(stop_at)
        cubes = frames if isinstance(frames, tuple) else cubes_of(frames)
        config = PipelineConfig.build(options=options)
        run(Job(7, cubes, config, device="cpu", **more), listener, listener.cancel, cache)
        return listener

    return carry_out


@pytest.fixture(scope="session")
def finished(simulation, carry_out):
    """The result of the plain job."""
    end = carry_out(simulation.frames).end
    assert isinstance(end, Finished), end
    return end.result

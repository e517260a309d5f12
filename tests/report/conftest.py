"""A small simulated stack and its result."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.run import quiet_context, refine

BANDS = 12


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return simulate(town((82, 82), bands=BANDS, seed=3).cube, 2, 4, snr=30, max_shift=1.8, seed=1)


@pytest.fixture(scope="session")
def stack(simulation: Simulation) -> FrameStack:
    nm = np.linspace(420, 900, BANDS)
    frames = (Cube.from_array(frame, name=f"frame <{k}>", wavelengths=nm) for k, frame in enumerate(simulation.frames))
    return FrameStack(tuple(frames))


@pytest.fixture(scope="session")
def result(stack: FrameStack) -> Result:
    return refine(stack, PipelineConfig(), context=quiet_context("cpu"))

"""Knobs of the adaptation to a scene. No torch here: the window draws its form from this."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hsimisr.settings import Settings


class TestTimeTrainingConfig(Settings):
    """Teach the refiner to predict frames of this scene that it has not seen."""

    __test__ = False  # no test class, whatever its name begins with

    method: Literal["ttt"] = "ttt"
    steps: int = Field(80, ge=0, le=2000, description="most optimisation steps")
    learning_rate: float = Field(2e-3, gt=0, le=0.1)
    train: Literal["last", "all"] = Field(
        "last", description="what moves: the last block, heads and strengths, or the whole network"
    )
    lessons: int = Field(4, ge=1, le=16, description="frames that are left out in turns for the network to predict")
    consistency: float = Field(0.1, ge=0, le=10, description="weight of the misfit to the frames it has seen")
    cycle: float = Field(0.1, ge=0, le=10, description="weight of recovering the network's own image from its frames")
    degradation: bool = Field(True, description="let the PSF's width and the noise adapt along")
    patience: int = Field(6, ge=1, le=100, description="checks without progress on the validation frame until it stops")
    seconds: float = Field(60.0, gt=0, description="time budget")

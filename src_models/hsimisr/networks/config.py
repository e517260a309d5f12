"""Knobs of the learned refinement. No torch here: the window draws its form from this."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hsimisr.settings import Settings


class RefinerConfig(Settings):
    """Learned refinement of the linear estimate, held to the frames."""

    method: Literal["refiner"] = "refiner"
    weights: str = Field("shipped", description="shipped, a safetensors file, or untrained: the adaptation does it all")
    gate: bool = Field(True, description="use it only where held-out frames support it")
    held_out: int = Field(2, ge=1, le=8, description="most frames that judge; fewer where there are few")

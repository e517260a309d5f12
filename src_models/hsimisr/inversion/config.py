"""Knobs of the inversion, one type per method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hsimisr.settings import Settings


class BicubicConfig(Settings):
    """Bicubic interpolation of the reference frame alone."""

    method: Literal["bicubic"] = "bicubic"


class MeanConfig(Settings):
    """Mean of the registered, interpolated frames."""

    method: Literal["mean"] = "mean"


class DrizzleConfig(Settings):
    """Shift-and-add: every LR pixel dropped on the HR grid."""

    method: Literal["drizzle"] = "drizzle"
    drop: float = Field(0.6, gt=0, le=1, description="side of the drop, LR pixels")


class BackProjectionConfig(Settings):
    """Iterative back-projection from the mean of the frames."""

    method: Literal["back_projection"] = "back_projection"
    iterations: int = Field(20, ge=1, le=500)


class TotalVariationConfig(Settings):
    """MAP with a total-variation prior."""

    method: Literal["tv"] = "tv"
    strength: float = Field(1.0, gt=0, description="times the weight that the noise level suggests")
    iterations: int = Field(60, ge=1, le=2000)


class LmmseConfig(Settings):
    """The best linear estimate under PSF, noise, motion and a power spectrum fitted to the scene."""

    method: Literal["lmmse"] = "lmmse"
    prior: Literal["fitted", "power_law"] = Field(
        "fitted", description="spectrum of the estimate itself, or a power law"
    )
    rounds: int = Field(2, ge=0, le=10, description="rounds in which the prior follows the local contrast; 0 is off")
    iterations: int = Field(60, ge=1, le=500, description="largest number of conjugate-gradient steps, each round")
    tolerance: float = Field(1e-4, ge=1e-6, lt=1, description="relative residual at which the solver stops")
    inflate: bool = Field(True, description="count the uncertainty of the registration as noise")


InvertConfig = Annotated[
    BicubicConfig | MeanConfig | DrizzleConfig | BackProjectionConfig | TotalVariationConfig | LmmseConfig,
    Field(discriminator="method"),
]

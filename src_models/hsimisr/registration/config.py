"""Knobs of the registration, one type per method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hsimisr.settings import Settings

Model = Literal["translation", "affine", "homography", "local"]


class NoRegistrationConfig(Settings):
    """Take the frames as aligned already."""

    method: Literal["none"] = "none"


class GaussNewtonConfig(Settings):
    """Multi-eigenband Gauss-Newton of every frame against the reference."""

    method: Literal["gauss_newton"] = "gauss_newton"
    model: Literal["auto"] | Model = Field(
        "auto",
        description="kind of motion; auto takes the simplest that explains pixels held out, local adds a smooth field",
    )
    prefilter: float = Field(1.0, ge=0, le=3, description="Gaussian width against aliasing, LR pixels")
    exclude: bool = Field(True, description="leave out frames that do not belong to the scene")


class JointConfig(GaussNewtonConfig):
    """Gauss-Newton start, then image and motions refined together on the canvas."""

    method: Literal["joint"] = "joint"  # type: ignore[assignment]
    steps: int = Field(6, ge=1, le=50, description="largest number of joint steps")


RegisterConfig = Annotated[NoRegistrationConfig | GaussNewtonConfig | JointConfig, Field(discriminator="method")]

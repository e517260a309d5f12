"""Knobs of the diffusion, one type per sampler. No torch here: the window draws its form from this."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hsimisr.settings import Settings

MEAN, SAMPLE = "mean", "sample"


class DiffusionSettings(Settings):
    """What all methods share; `role` says which kind of network a method asks."""

    role: ClassVar[Literal["denoiser", "student"]] = "denoiser"
    weights: str = Field("shipped", description="shipped, a safetensors file, or untrained: exactly Gaussian samples")
    gate: bool = Field(True, description="use the mean only where held-out frames support it")
    likelihood: float = Field(0.0, ge=0, le=1, description="guidance: towards the frames")
    sam: float = Field(0.0, ge=0, le=1, description="guidance: towards the spectral angles of the stage before")
    ergas: float = Field(0.0, ge=0, le=1, description="guidance: towards the band values of the stage before")
    low_rank: float = Field(0.0, ge=0, le=1, description="guidance: towards changes shared by all eigen-images")


class SamplingSettings(DiffusionSettings):
    """What all samplers share."""

    product: Literal["mean", "sample"] = Field(
        "mean",
        description="mean: average of samples, for measurement; sample: one plausible scene with its texture, which is "
        "inferred and not for measurement",
    )
    steps: int = Field(2, ge=0, le=200, description="network evaluations of each sample; 0 switches the stage off")
    samples: int = Field(2, ge=1, le=128, description="that are averaged; even numbers cancel most of their noise")
    highest: float = Field(2.0, gt=0, le=100, description="noise level to begin at, times the expected error")


class ProximalConfig(SamplingSettings):
    """Draws of the exact Gaussian posterior around the network's estimate, held to the frames in every step."""

    method: Literal["proximal"] = "proximal"


class DdimConfig(SamplingSettings):
    """Deterministic steps (DDIM; Song et al., 2021)."""

    method: Literal["ddim"] = "ddim"
    steps: int = Field(8, ge=0, le=200, description="network evaluations of each sample; 0 switches the stage off")


class AncestralConfig(SamplingSettings):
    """Ancestral steps with the schedule of HSR-Diff, the reference."""

    method: Literal["ancestral"] = "ancestral"
    steps: int = Field(100, ge=0, le=100, description="network evaluations of each sample; 0 switches the stage off")


class ConsistencyConfig(SamplingSettings):
    """A student distilled from the denoiser, which needs one step (consistency model; Song et al., 2023)."""

    role = "student"
    method: Literal["consistency"] = "consistency"
    steps: int = Field(1, ge=0, le=4, description="network evaluations of each sample; 0 switches the stage off")


class RegressionConfig(DiffusionSettings):
    """The network's mean at once, without samples."""

    method: Literal["regression"] = "regression"
    product: ClassVar[str] = MEAN
    steps: ClassVar[int] = 1
    samples: ClassVar[int] = 1


SamplerConfig = ProximalConfig | DdimConfig | AncestralConfig | ConsistencyConfig | RegressionConfig

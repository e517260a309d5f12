"""What a training run does, as one file: scenes, situations, network, optimiser, validation."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from hsimisr.errors import ConfigError
from hsimisr.networks.denoiser import DenoiserShape
from hsimisr.networks.refiner import RefinerShape
from hsimisr.settings import Settings


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] <= limits[1]:
        raise ValueError("a range goes from its smaller to its larger end, neither negative")
    return limits


Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
SMALLEST_PATCH = 16
"""LR pixels; the scene model is not estimated from less."""


class SceneRecipe(Settings):
    """Where HR scenes come from."""

    real: Share = Field(0.5, description="share of samples cut from the cubes of the data folder; others are drawn")
    files: tuple[str, ...] = Field(("*",), description="file stems of the cubes that are trained on, * for any text")
    bands: tuple[int, int] = Field((24, 96), description="least and largest number of neighbouring bands of a sample")

    @model_validator(mode="after")
    def _check(self) -> SceneRecipe:
        if not 1 <= self.bands[0] <= self.bands[1]:
            raise ValueError("bands go from the least, at least 1, to the largest number")
        return self


class SituationRecipe(Settings):
    """How frames are simulated. Ranges are drawn from evenly."""

    scales: dict[int, float] = Field({2: 0.5, 3: 0.2, 4: 0.3}, description="weight of each scale")
    frames: tuple[int, int] = Field((1, 16), description="fewest and most frames, drawn evenly in the logarithm")
    snr: Range = Field((20.0, 45.0), description="dB")
    psf: dict[str, float] = Field({"box": 0.25, "mtf": 0.5, "gauss": 0.25}, description="weight of each kind of PSF")
    mtf: Range = (0.1, 0.6)
    fwhm: Range = Field((0.7, 1.6), description="of a Gaussian PSF, LR pixels")
    psf_error: float = Field(0.03, ge=0, le=0.5, description="relative standard deviation of the number told of a PSF")
    affine: Share = Field(0.05, description="share of samples whose frames also turn, stretch and shear")
    max_shift: Range = Field((0.5, 2.0), description="largest shift of a sample's frames, LR pixels")
    registration_error: Range = Field((0.0, 0.05), description="standard deviation along each axis, LR pixels")
    gain_spread: Range = (0.0, 0.02)
    shot: Share = Field(0.25, description="share of samples with noise that grows with the signal")
    patches: tuple[int, ...] = Field((16, 20), description="side of the frames, LR pixels, in equal steps of a run")
    iterations: int = Field(30, ge=5, description="most steps of the solver for the scene model")
    tolerance: float = Field(1e-3, gt=0, lt=1, description="at which that solver stops")

    @model_validator(mode="after")
    def _check(self) -> SituationRecipe:
        if not self.scales or not self.psf or min(*self.scales.values(), *self.psf.values()) < 0:
            raise ValueError("scales and psf need weights that are not negative")
        if not set(self.scales) <= set(range(1, 9)) or not set(self.psf) <= {"box", "mtf", "gauss"}:
            raise ValueError("scales are 1 to 8, kinds of PSF are box, mtf and gauss")
        if not self.patches or min(self.patches) < SMALLEST_PATCH:
            raise ValueError(f"patches are at least {SMALLEST_PATCH} LR pixels")
        if not 1 <= self.frames[0] <= self.frames[1]:
            raise ValueError("frames go from the fewest, at least 1, to the most")
        return self


class OptimiserRecipe(Settings):
    """How the weights are found."""

    steps: int = Field(8000, ge=1)
    minutes: float | None = Field(60.0, gt=0, description="time for the whole training; it ends by steps or time")
    batch: int = Field(2, ge=1, description="samples whose gradients make one step")
    reuse: int = Field(8, ge=1, description="how often each sample is used on average, each time augmented anew")
    pool: int = Field(192, ge=1, description="samples that are drawn from at random; the oldest leaves")
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: int = Field(100, ge=0, description="steps over which the learning rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    average: float = Field(0.995, ge=0, lt=1, description="decay of the moving average of the weights")
    bfloat16: bool = Field(True, description="run the network in 16-bit floating point, weights stay 32-bit")
    variance_weight: float = Field(0.05, ge=0, description="of the variance head's likelihood in a refiner's loss")
    consistency_weight: float = Field(0.1, ge=0, description="of what the frames see of the error in a denoiser's loss")


class ValidationRecipe(Settings):
    """What tells how good the weights are on scenes that were not trained on."""

    files: tuple[str, ...] = Field((), description="file stems of the cubes; without any, scenes are drawn anew")
    samples: int = Field(24, ge=1)
    single: int = Field(
        16,
        ge=0,
        description="situations of a single frame that tell how far to trust the weights there; half are drawn",
    )
    every: int = Field(500, ge=1, description="steps")


class Recipe(Settings):
    """A training run. The same recipe, data and threads on a CPU give the same weights where no time ends the run."""

    version: Literal[1] = 1
    seed: int = Field(0, ge=0)
    scenes: SceneRecipe = SceneRecipe()
    situations: SituationRecipe = SituationRecipe()
    network: RefinerShape | DenoiserShape = RefinerShape()
    teacher: str = Field("shipped", description="denoiser that a student learns from: shipped, or a safetensors file")
    optimise: OptimiserRecipe = OptimiserRecipe()
    validation: ValidationRecipe = ValidationRecipe()

    @classmethod
    def load(cls, name: str) -> Recipe:
        """Read a recipe, a file or the name of one that comes with the package.

        Raises:
            ConfigError: there is no such recipe, or a knob in it cannot work.
        """
        shipped = {item.name.removesuffix(".yaml"): item for item in files(__package__).joinpath("recipes").iterdir()}
        source = shipped.get(name.removesuffix(".yaml")) if not Path(name).is_file() else Path(name)
        if source is None:
            raise ConfigError(f"{name} is no recipe; give a YAML file, or one of {', '.join(sorted(shipped))}")
        try:
            values: Any = yaml.safe_load(source.read_text(encoding="utf-8"))
            return cls.model_validate(values or {})
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read the recipe {name}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            knob = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"recipe {name}, {knob or 'file'}: {first['msg']}") from error

    def dump(self) -> dict[str, Any]:
        """Plain values."""
        return self.model_dump(mode="json")

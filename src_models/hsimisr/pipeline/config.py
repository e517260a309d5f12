"""The knobs of a run. Choosing a method is choosing a config type; the schema draws the form and checks the YAML."""

from __future__ import annotations

import math
import reprlib
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from hsimisr.adaptation.config import TestTimeTrainingConfig
from hsimisr.diffusion.config import SamplerConfig
from hsimisr.errors import ConfigError
from hsimisr.inversion.config import InvertConfig, LmmseConfig
from hsimisr.networks.config import RefinerConfig
from hsimisr.physics.config import AUTO, SubspaceConfig, check_psf_choice
from hsimisr.registration.config import JointConfig, RegisterConfig
from hsimisr.settings import Settings

BRIEF = reprlib.Repr()
BRIEF.maxstring = 80
"""How a wrong value is shown: a list of many bands does not fill the screen."""
NOISE_FORMS = "auto, one number for all bands, or one per band (null at bad bands)"


class NoStage(Settings):
    """A stage that is switched off."""

    method: Literal["none"] = "none"


class PosteriorConfig(Settings):
    """Error bars from the posterior variance of the linear inversion."""

    method: Literal["posterior"] = "posterior"
    calibrate: bool = Field(
        True, description="widen or narrow the bars by what known scenes and frames that were left out show"
    )


UncertaintyConfig = Annotated[PosteriorConfig | NoStage, Field(discriminator="method")]


RefineConfig = Annotated[RefinerConfig | NoStage, Field(discriminator="method")]
DiffuseConfig = Annotated[SamplerConfig | NoStage, Field(discriminator="method")]
AdaptConfig = Annotated[TestTimeTrainingConfig | NoStage, Field(discriminator="method")]


class PipelineConfig(Settings):
    """Every knob of a run; goes into each result and file as provenance."""

    version: Literal[1] = 1
    scale: int = Field(2, ge=1, le=8, description="HR pixels per LR pixel, along one axis")
    psf: str = Field(
        "mtf:0.29",
        description="box, mtf:<MTF at Nyquist>, gauss:<FWHM in LR pixels>, bicubic, or auto: found from the frames",
    )
    noise: str = Field(
        AUTO,
        description="standard deviation, data units: one number for all bands or one per band, with commas between, "
        "that is kept as it is; or auto: found from the frames",
    )
    subspace: SubspaceConfig = SubspaceConfig()
    register_: RegisterConfig = Field(JointConfig(), alias="register")
    invert: InvertConfig = LmmseConfig()
    refine: RefineConfig = NoStage()
    adapt: AdaptConfig = NoStage()
    diffuse: DiffuseConfig = NoStage()
    uncertainty: UncertaintyConfig = PosteriorConfig()

    _check_psf = field_validator("psf")(check_psf_choice)

    @field_validator("noise", mode="before")
    @classmethod
    def _check_noise(cls, value: Any) -> str:
        """As text, whether a number, a list or a text was given."""
        if value == AUTO:
            return AUTO
        entries = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        if all(_means_none(entry) for entry in entries):
            raise ValueError(f"there is no number in it; give {NOISE_FORMS}")
        return ",".join("null" if _means_none(entry) else repr(_deviation(entry)) for entry in entries)

    @property
    def fixed_noise(self) -> tuple[float, ...] | None:
        """The standard deviations that were given, NaN for `null`; None where noise is to be found from the frames."""
        if self.noise == AUTO:
            return None
        return tuple(math.nan if entry == "null" else float(entry) for entry in self.noise.split(","))

    @property
    def lmmse(self) -> LmmseConfig:
        """The LMMSE that the scene model is fitted with, whatever method inverts the views."""
        return self.invert if isinstance(self.invert, LmmseConfig) else LmmseConfig()

    @classmethod
    def build(
        cls,
        file: Path | None = None,
        options: dict[str, Any] | None = None,
        sets: list[str] | None = None,
        found: dict[str, Any] | None = None,
        preset: dict[str, Any] | None = None,
    ) -> PipelineConfig:
        """Merge defaults < preset < found in other files < file < options < ``key=value`` sets.

        A layer that names another method of a stage than the one below it drops that one's knobs.

        Raises:
            ConfigError: naming the knob.
        """
        values = _merged(preset or {}, found or {})
        if file is not None:
            try:
                loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise ConfigError(f"cannot read the settings file {file}: {error}") from error
            if loaded is not None and not isinstance(loaded, dict):
                raise ConfigError(f"{file} does not hold settings (a mapping of names to values)")
            values = _merged(values, loaded or {})
        values = _merged(values, {key: value for key, value in (options or {}).items() if value is not None})
        given: dict[str, Any] = {}
        for pair in sets or []:
            key, sign, text = pair.partition("=")
            if not sign:
                raise ConfigError(f"--set {pair!r} is not of the form key=value, for example invert.method=tv")
            _assign(given, key.strip(), _value(pair, text))
        values = _merged(values, given)
        _name_default_methods(values)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            knob = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"setting {knob or 'file'}: {first['msg']} (got {BRIEF.repr(first['input'])})") from error

    def dump(self) -> dict[str, Any]:
        """Plain values, as written to YAML and provenance."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """Every setting, as ``hsimisr refine --config`` takes it."""
        return str(yaml.safe_dump(self.dump(), sort_keys=False))


def _means_none(entry: Any) -> bool:
    """Whether a band has no number, as bad bands have none in `registration.json`."""
    return entry is None or (isinstance(entry, str) and entry.strip() == "null")


def _deviation(entry: Any) -> float:
    """A standard deviation; raises ValueError that names what is accepted."""
    try:
        number = math.nan if isinstance(entry, bool) else float(entry)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{BRIEF.repr(entry)} is no standard deviation above 0; give {NOISE_FORMS}")
    return number


def _value(pair: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {pair!r}: {text!r} is no value that YAML can read") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings of `above` over those of `below`, group by group; another method takes the place of the old group."""
    merged = deepcopy(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _same_method(old, value):
            merged[key] = {**old, **value}
        else:
            merged[key] = deepcopy(value)
    return merged


def _same_method(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return "method" not in old or new.get("method", old["method"]) == old["method"]


def _name_default_methods(values: dict[str, Any]) -> None:
    """Let a stage's knobs be set without naming its method: the default method is meant then."""
    for stage, default in PipelineConfig().dump().items():
        given = values.get(stage)
        if isinstance(given, dict) and isinstance(default, dict) and "method" in default:
            given.setdefault("method", default["method"])


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    node = values
    *parents, last = key.split(".")
    for name in parents:
        child = node.setdefault(name, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {name} is not a group of settings")
        node = child
    node[last] = value

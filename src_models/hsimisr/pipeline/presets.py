"""Named sets of settings: how much work a run puts into a scene. Scale, PSF and noise describe the data, not that."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from hsimisr.errors import ConfigError
from hsimisr.pipeline.config import PipelineConfig

DATA = ("version", "scale", "psf", "noise")
"""Settings that are about the data and stay as they are whatever preset is chosen."""
OFF = {"method": "none"}
REFINER = {"method": "refiner"}


@dataclass(frozen=True)
class Preset:
    """Settings over the defaults of `PipelineConfig`.

    Attributes:
        title: what people call it.
        about: what it does and what it costs, in one sentence.
        values: the settings that it names; all other stages are as the defaults have them.
    """

    title: str
    about: str
    values: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(
        "fast preview",
        "Frames registered in pairs, one linear solve, no error bars: to look around.",
        {
            "register": {"method": "gauss_newton"},
            "invert": {"method": "lmmse", "rounds": 0},
            "uncertainty": OFF,
        },
    ),
    "balanced": Preset(
        "balanced",
        "The shipped refiner, as far as held-out frames support it: half as long again as without.",
        {"refine": REFINER},
    ),
    "best": Preset(
        "best",
        "The refiner adapted to the scene, then the diffusion network's mean, as far as held-out frames support them: "
        "about a minute on two cores for a small scene, more for a large one.",
        {"refine": REFINER, "adapt": {"method": "ttt"}, "diffuse": {"method": "regression"}},
    ),
    "radiometric": Preset(
        "radiometric",
        "The linear estimate with calibrated error bars and no learned stage: nothing in it comes from other scenes.",
        {
            "invert": {"method": "lmmse"},
            "refine": OFF,
            "adapt": OFF,
            "diffuse": OFF,
            "uncertainty": {"method": "posterior", "calibrate": True},
        },
    ),
}


def preset_values(name: str) -> dict[str, Any]:
    """What a preset sets, for `PipelineConfig.build`; raises ConfigError that names the presets there are."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return deepcopy(dict(PRESETS[name].values))


def with_preset(name: str, config: PipelineConfig) -> PipelineConfig:
    """The settings of a preset for the data of `config`: its scale, PSF and noise stay."""
    kept = {key: value for key, value in config.dump().items() if key in DATA}
    return PipelineConfig.build(preset=preset_values(name), options=kept)


def preset_of(config: PipelineConfig) -> str | None:
    """The name of the preset that settings are, or None where they are nobody's."""
    return next((name for name in PRESETS if with_preset(name, config) == config), None)

"""The command line of a run says all that is not as by default, in words that give the same settings again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hsimisr.cube import CubeSource
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.pipeline.command import as_line, changed_settings, refine_command
from hsimisr.pipeline.config import PipelineConfig

FRAMES = [CubeSource("/data/my frames.npz", None, k) for k in range(2)]
OUT = Path("refined.nc")
KNOBS: list[dict[str, Any]] = [
    {},
    {"scale": 3, "psf": "gauss:1.5,1.2,-30", "noise": [0.01, None, 2.5e-5]},
    {"noise": 0.01},
    {"subspace": {"rank": 5, "residual": False}, "register": {"method": "none"}},
    {"register": {"method": "gauss_newton", "model": "affine"}},
    {"invert": {"method": "lmmse", "tolerance": 2.5e-6}, "uncertainty": {"method": "none"}},
    {"refine": {"method": "refiner", "weights": "my: weights.safetensors"}, "adapt": {"method": "ttt"}},
    {"diffuse": {"method": "consistency", "product": "sample", "weights": "1"}},
]


def settings_of(words: list[str]) -> PipelineConfig:
    """What `hsimisr refine` makes of the words: options and sets as the command line merges them."""
    pairs = list(pairwise(words))
    options: dict[str, Any] = {key: value for key in ("scale", "psf") for word, value in pairs if word == f"--{key}"}
    return PipelineConfig.build(options=options, sets=[value for word, value in pairs if word == "--set"])


@pytest.mark.parametrize("knobs", KNOBS)
def test_the_words_give_the_same_settings(knobs: dict[str, Any]) -> None:
    config = PipelineConfig.build(options=knobs)
    assert settings_of(refine_command(FRAMES, config, OUT)) == config


def test_the_defaults_need_no_words() -> None:
    assert refine_command(FRAMES, PipelineConfig(), OUT) == [
        *("hsimisr", "refine", "/data/my frames.npz#0", "/data/my frames.npz#1", "--out", "refined.nc")
    ]
    assert list(changed_settings(PipelineConfig())) == []


def test_reference_view_motions_and_seed_are_said() -> None:
    words = refine_command(
        FRAMES, PipelineConfig(), OUT, reference=1, view=View(0, 8, 2, 9), registration=Path("r.json"), seed=4
    )
    assert words[-8:] == ["--reference", "1", "--view", "0:8,2:9", "--registration", "r.json", "--seed", "4"]
    assert as_line(words).count("'/data/my frames.npz#") == 2


def test_a_sequence_is_said_and_a_mixture_is_refused() -> None:
    image = CubeSource("/data/sequence.npy", None, 0, bands_as_frames=True)
    assert "--bands-as-frames" in refine_command([image], PipelineConfig(), OUT)
    with pytest.raises(ConfigError, match="not both"):
        refine_command([image, *FRAMES], PipelineConfig(), OUT)


@pytest.mark.parametrize("knobs", KNOBS)
def test_yaml_gives_the_same_settings(tmp_path: Path, knobs: dict[str, Any]) -> None:
    config = PipelineConfig.build(options=knobs)
    (tmp_path / "knobs.yaml").write_text(config.to_yaml())
    assert PipelineConfig.build(tmp_path / "knobs.yaml") == config

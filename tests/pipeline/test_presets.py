"""Presets: settings over the defaults that leave the data's own alone, and give way to files, options and sets."""

from __future__ import annotations

import pytest

from hsimisr.errors import ConfigError
from hsimisr.inversion.config import LmmseConfig
from hsimisr.networks.config import RefinerConfig
from hsimisr.pipeline.config import NoStage, PipelineConfig, PosteriorConfig
from hsimisr.pipeline.presets import PRESETS, preset_of, preset_values, with_preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_what_describes_the_data_and_is_recognised(name):
    chosen = with_preset(name, PipelineConfig(scale=3, psf="box", noise="0.5"))
    assert (chosen.scale, chosen.psf, chosen.noise) == (3, "box", "0.5")
    assert preset_of(chosen) == name


def test_no_two_presets_are_the_same():
    assert len({with_preset(name, PipelineConfig()).model_dump_json() for name in PRESETS}) == len(PRESETS)


def test_one_knob_more_is_no_preset():
    assert preset_of(PipelineConfig.build(preset=preset_values("best"), sets=["refine.held_out=1"])) is None


def test_radiometric_takes_nothing_from_other_scenes_and_has_error_bars():
    config = with_preset("radiometric", PipelineConfig())
    assert isinstance(config.invert, LmmseConfig)
    assert config.uncertainty == PosteriorConfig(calibrate=True)
    for stage in (config.refine, config.adapt, config.diffuse):
        assert isinstance(stage, NoStage)


def test_file_options_and_sets_go_over_a_preset_in_this_order(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("refine: {gate: false, held_out: 1}\nscale: 3\n")
    best = preset_values("best")
    config = PipelineConfig.build(file, {"scale": 4}, ["refine.held_out=3"], preset=best)
    assert config.refine == RefinerConfig(gate=False, held_out=3)
    assert config.scale == 4
    assert config.adapt == with_preset("best", PipelineConfig()).adapt


def test_another_method_over_a_preset_drops_the_knobs_of_its_own():
    fast = preset_values("fast")
    assert PipelineConfig.build(sets=["invert.method=tv"], preset=fast).invert.method == "tv"
    assert PipelineConfig.build(options={"invert": {"method": "drizzle"}}, preset=fast).invert.method == "drizzle"


def test_a_preset_is_left_as_it_was():
    values = preset_values("best")
    PipelineConfig.build(sets=["refine.gate=false"], preset=values)
    assert values == preset_values("best")


def test_an_unknown_preset_is_told_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'worst'.*fast, balanced, best, radiometric"):
        preset_values("worst")

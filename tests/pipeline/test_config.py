"""Settings: what wins over what, and errors that name the knob."""

from __future__ import annotations

import math

import pytest
import yaml

from hsimisr.errors import ConfigError
from hsimisr.inversion.config import LmmseConfig, TotalVariationConfig
from hsimisr.pipeline.config import NoStage, PipelineConfig
from hsimisr.registration.config import GaussNewtonConfig, JointConfig, NoRegistrationConfig


@pytest.fixture
def settings_file(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return path

    return write


def test_defaults():
    config = PipelineConfig.build()
    assert config == PipelineConfig()
    assert isinstance(config.invert, LmmseConfig)
    assert isinstance(config.register_, JointConfig)
    assert isinstance(config.refine, NoStage)


def test_file_beats_defaults_options_beat_the_file_and_sets_beat_all(settings_file):
    file = settings_file("scale: 3\npsf: box\nsubspace: {rank: 4}\n")
    assert PipelineConfig.build(file).scale == 3
    assert PipelineConfig.build(file, {"scale": 4, "psf": None}).scale == 4
    assert PipelineConfig.build(file, {"scale": 4, "psf": None}).psf == "box"
    config = PipelineConfig.build(file, {"scale": 4}, ["scale=5", "subspace.residual=false"])
    assert config.scale == 5
    assert config.subspace.rank == 4
    assert config.subspace.residual is False


def test_choosing_a_method_chooses_its_knobs():
    config = PipelineConfig.build(sets=["invert.method=tv", "invert.strength=2.5", "register.method=none"])
    assert config.invert == TotalVariationConfig(strength=2.5)
    assert config.register_ == NoRegistrationConfig()


def test_a_knob_of_the_default_method_needs_no_method():
    config = PipelineConfig.build(sets=["invert.iterations=80", "register.steps=3"])
    assert config.invert == LmmseConfig(iterations=80)
    assert config.register_ == JointConfig(steps=3)


def test_options_are_left_as_they_were():
    options = {"subspace": {"rank": 3}}
    PipelineConfig.build(options=options, sets=["subspace.rank=5"])
    assert options == {"subspace": {"rank": 3}}


def test_what_is_dumped_builds_the_same(settings_file):
    config = PipelineConfig.build(sets=["scale=3", "register.method=gauss_newton", "invert.method=drizzle"])
    assert PipelineConfig.build(settings_file(yaml.safe_dump(config.dump()))) == config
    assert isinstance(config.register_, GaussNewtonConfig)


def test_an_empty_file_changes_nothing(settings_file):
    assert PipelineConfig.build(settings_file("")) == PipelineConfig()


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["scale=0"], "scale"),
        (["scale=two"], "scale"),
        (["psf=airy"], "psf"),
        (["subspace.rank=none"], r"subspace\.rank"),
        (["invert.method=magic"], "invert"),
        (["invert.method=lmmse", "invert.tolerance=2"], r"invert\.lmmse\.tolerance"),
        (["invert.method=tv", "invert.drop=0.5"], "drop"),
        (["sclae=3"], "sclae"),
        (["scale"], "key=value"),
        (["scale.deep=3", "scale=2", "scale.deeper=1"], "scale"),
        (["invert={method: lmmse"], "invert"),
        (["noise=loud"], "noise: Value error, 'loud' is no standard deviation above 0; give auto"),
        (["noise=0"], "noise"),
        (["noise=-1e-3"], "noise"),
        (["noise=true"], "noise"),
        (["noise=[0.1, .inf]"], "noise: Value error, inf"),
        (["noise=[0.1, [0.2]]"], "noise"),
        (["noise=[]"], "noise"),
        (["noise="], "noise"),
        (["noise=null"], "noise"),
        (["noise={a: 1}"], "noise"),
    ],
)
def test_errors_name_the_knob(sets, words):
    with pytest.raises(ConfigError, match=words):
        PipelineConfig.build(sets=sets)


@pytest.mark.parametrize("psf", ["auto", "gauss:1.2,0.9,30", "mtf:0.29,0.35,-60"])
def test_the_psf_may_have_axes_or_be_left_to_the_frames(psf):
    assert PipelineConfig.build(options={"psf": psf}).psf == psf


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("auto", None),
        ("0.01", (0.01,)),
        ("1e-3", (0.001,)),
        ("12", (12.0,)),
        ("0.1,0.2,3", (0.1, 0.2, 3.0)),
        ("0.1, null, 3", (0.1, math.nan, 3.0)),
        ("[0.1, 2e-2, 3]", (0.1, 0.02, 3.0)),
        ("[0.1, null]", (0.1, math.nan)),
    ],
)
def test_noise_is_found_or_fixed_by_one_number_or_one_per_band(settings_file, text, numbers):
    """The same on the command line and in a file, and after it was written with the results."""
    from_set, from_file = (
        PipelineConfig.build(sets=[f"noise={text}"]),
        PipelineConfig.build(settings_file(f"noise: {text}")),
    )
    assert from_set == from_file
    again = PipelineConfig.build(settings_file(yaml.safe_dump(from_set.dump())))
    for config in (from_set, again):
        assert config.fixed_noise == pytest.approx(numbers, abs=0, nan_ok=True)


def test_a_wrong_value_of_many_bands_is_told_in_a_line_of_its_own():
    with pytest.raises(ConfigError, match="-1") as error:
        PipelineConfig.build(options={"noise": [0.1] * 200 + [-1]})
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["[1, 2]", "scale: [", "just words"])
def test_a_file_that_holds_no_settings_is_named(settings_file, text):
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        PipelineConfig.build(settings_file(text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        PipelineConfig.build(tmp_path / "missing.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "cube.yaml").write_bytes(b"scale: 2 # \xe9\xff")
    with pytest.raises(ConfigError, match=r"cube\.yaml"):
        PipelineConfig.build(tmp_path / "cube.yaml")

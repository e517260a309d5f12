"""Forms drawn from a config give values that the config accepts, for every method."""

from __future__ import annotations

from typing import Any

import pytest

from hsimisr.physics.config import check_psf_choice
from hsimisr.pipeline.config import PipelineConfig
from napari_hsimisr.widgets.form import MethodForm, ModelForm
from napari_hsimisr.widgets.psf import KINDS, PsfEdit


@pytest.fixture
def form(qapp) -> ModelForm:
    return ModelForm(PipelineConfig)


def stages(form: ModelForm) -> dict[str, MethodForm]:
    return {key: row for key, row in form.rows.items() if isinstance(row, MethodForm)}


def test_an_untouched_form_gives_the_defaults(form: ModelForm) -> None:
    assert PipelineConfig.model_validate(form.values) == PipelineConfig()


def test_every_method_of_every_stage_gives_its_own_config(form: ModelForm) -> None:
    for key, stage in stages(form).items():
        for method in stage.method.choices:
            stage.method.value = method
            config = PipelineConfig.model_validate(form.values).dump()
            assert config[key]["method"] == method
            assert set(stage.values) == set(config[key])


def test_knobs_reach_the_config_and_are_announced(form: ModelForm) -> None:
    announced = []
    form.changed.connect(announced.append)
    invert = stages(form)["invert"]
    invert.method.value = "tv"
    invert.knobs["iterations"].value = 17
    form.rows["subspace"].rows["rank"].auto.value = False
    form.rows["subspace"].rows["rank"].number.value = 5
    config = PipelineConfig.model_validate(form.values)
    assert config.invert.iterations == 17  # type: ignore[union-attr]
    assert config.subspace.rank == 5
    assert len(announced) >= 4


@pytest.mark.parametrize(
    "knobs",
    [
        {"scale": 3, "noise": [0.0123456, None], "subspace": {"rank": 5, "residual": False}},
        {"register": {"method": "none"}, "uncertainty": {"method": "none"}},
        {"register": {"method": "gauss_newton", "model": "affine", "prefilter": 0.123456}},
        {"invert": {"method": "tv", "strength": 4321.5, "iterations": 17}},
        {"invert": {"method": "lmmse", "prior": "power_law", "tolerance": 2.5e-6, "rounds": 0}},
        {"refine": {"method": "refiner", "weights": "mine.safetensors"}, "adapt": {"method": "ttt", "seconds": 1e5}},
        {"diffuse": {"method": "consistency", "steps": 4, "product": "sample", "likelihood": 1 / 3}},
    ],
    ids=lambda knobs: next(iter(knobs)),
)
def test_a_form_shows_any_settings_as_they_are(form: ModelForm, knobs: dict[str, Any]) -> None:
    config = PipelineConfig.model_validate(knobs)
    form.values = config.dump()
    assert PipelineConfig.model_validate(form.values) == config
    form.values = PipelineConfig().dump()
    assert PipelineConfig.model_validate(form.values) == PipelineConfig()


def test_knobs_that_are_not_given_stay_as_they_are(form: ModelForm) -> None:
    form.values = {"invert": {"iterations": 7}}
    form.values = {"invert": {"rounds": 1}, "scale": 4}
    assert form.values["invert"] == PipelineConfig().dump()["invert"] | {"iterations": 7, "rounds": 1}
    assert form.values["scale"] == 4


def test_words_are_chosen_from_a_list(form: ModelForm) -> None:
    model = stages(form)["register"].knobs["model"]
    assert model.choices == ("auto", "translation", "affine", "homography", "local")
    assert model.value == "auto"


def test_bounds_of_the_schema_bound_the_widgets(form: ModelForm) -> None:
    assert (form.rows["scale"].min, form.rows["scale"].max) == (1, 8)
    with pytest.raises(ValueError, match="9"):
        form.rows["scale"].value = 9


def test_every_psf_of_the_editor_is_valid(qapp) -> None:
    edit = PsfEdit("gauss:1.5")
    assert edit.text == "gauss:1.5"
    for kind in KINDS.values():
        edit.kind.value = kind
        assert check_psf_choice(edit.text).startswith(kind)


PSFS = ["auto", "box", "mtf:0.2", "gauss:1.23456,0.9,-30", "mtf:0.29,0.35,30", "gauss:10", "mtf:0.01"]


@pytest.mark.parametrize("text", PSFS)
def test_the_psf_editor_keeps_what_it_is_given(qapp, text: str) -> None:
    assert PsfEdit(text).text == text


def test_the_psf_editor_changes_to_any_other(qapp) -> None:
    edit = PsfEdit("mtf:0.29")
    for text in (*PSFS, *reversed(PSFS)):
        edit.text = text
        assert edit.text == text


def test_a_psf_with_two_axes_is_made_and_unmade(qapp) -> None:
    edit = PsfEdit("mtf:0.3")
    edit.two_axes.value = True
    edit.across.value, edit.angle.value = 0.4, 20
    assert edit.text == "mtf:0.3,0.4,20"
    edit.two_axes.value = False
    assert edit.text == "mtf:0.3"

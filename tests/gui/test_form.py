"""Forms drawn from a config give values that the config accepts, for every method."""

from __future__ import annotations

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


@pytest.mark.parametrize("text", ["auto", "box", "mtf:0.2", "gauss:1.2,0.9,-30", "mtf:0.29,0.35,30"])
def test_the_psf_editor_keeps_what_it_is_given(qapp, text: str) -> None:
    assert PsfEdit(text).text == text


def test_a_psf_with_two_axes_is_made_and_unmade(qapp) -> None:
    edit = PsfEdit("mtf:0.3")
    edit.two_axes.value = True
    edit.across.value, edit.angle.value = 0.4, 20
    assert edit.text == "mtf:0.3,0.4,20"
    edit.two_axes.value = False
    assert edit.text == "mtf:0.3"

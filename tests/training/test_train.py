"""A training can be repeated, stopped and gone on with, and hands out what it measured."""

from __future__ import annotations

import csv
import threading

import pytest
import torch

from hsimisr.errors import ConfigError, ReadError
from hsimisr.networks.weights import load_denoiser, load_refiner, read_provenance
from hsimisr.training.recipe import Recipe
from hsimisr.training.train import train

CPU = torch.device("cpu")


def stop_after(lines):
    """A stop flag, and a listener that raises it at a line of the log."""
    flag, seen = threading.Event(), []

    def listen(line):
        seen.append(line)
        if len(seen) == lines:
            flag.set()

    return flag, listen


def run(recipe, cubes, out, lines=None):
    stop, listen = stop_after(lines)
    return train(recipe, cubes, out, CPU, stop, on_line=listen)


def state(out):
    content = torch.load(out / "checkpoint.pt", weights_only=True)
    return {**content["network"], **{f"mean.{k}": v for k, v in content["average"].items()}}


def log(out):
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def uninterrupted(tiny, cubes, finished):
    """A finished training."""
    if not (finished / "checkpoint.pt").exists():
        assert run(tiny(), cubes, finished).finished
    return finished


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tiny, cubes, uninterrupted, tmp_path):
    run(tiny(), cubes, tmp_path / "again")
    run(tiny().model_copy(update={"seed": 1}), cubes, tmp_path / "other")
    first, again, other = (state(out) for out in (uninterrupted, tmp_path / "again", tmp_path / "other"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tiny, cubes, uninterrupted, tmp_path):
    part = run(tiny(), cubes, tmp_path, lines=1)
    assert not part.finished
    assert part.step == 2
    assert [int(row["step"]) for row in log(tmp_path)] == [2]
    done = run(tiny(), cubes, tmp_path)
    assert done.finished
    expected, found = state(uninterrupted), state(tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [row["loss"] for row in log(tmp_path)] == [row["loss"] for row in log(uninterrupted)]
    assert run(tiny(), cubes, tmp_path) == done  # nothing is left to do


def test_a_student_begins_from_the_denoiser_that_teaches_it(tiny, cubes, tmp_path):
    """Both are trained; the student's weights tell whose they were."""
    shape = {"kind": "denoiser", "width": 8, "heads": 2, "layers": 1, "evidence": 4, "groups": 2}
    recipe = tiny().model_dump() | {"network": shape}
    recipe["validation"]["single"] = 0
    assert run(Recipe.model_validate(recipe), cubes, tmp_path / "teacher").finished
    teacher = tmp_path / "teacher" / "weights.safetensors"
    apprentice = Recipe.model_validate(recipe | {"network": shape | {"role": "student"}, "teacher": str(teacher)})
    assert run(apprentice, cubes, tmp_path / "student").finished
    path = tmp_path / "student" / "weights.safetensors"
    student, taught = load_denoiser(path), load_denoiser(teacher)
    assert (student.shape.role, taught.shape.role) == ("student", "denoiser")
    assert read_provenance(path)["started_from"] == read_provenance(teacher)
    moved = [not torch.equal(a, b) for a, b in zip(student.parameters(), taught.parameters(), strict=True)]
    assert any(moved)
    assert path.with_name("card.md").read_text().startswith("# Student weights")


def test_weights_come_with_their_shape_recipe_and_card(tiny, cubes, uninterrupted):
    refiner = load_refiner(uninterrupted / "weights.safetensors")
    assert refiner.shape == tiny().network
    told = read_provenance(uninterrupted / "weights.safetensors")
    assert Recipe.model_validate(told["recipe"]) == tiny()
    assert told["trained_on"] == ["town-a", "town-b"]
    assert told["validated_on"] == ["village"]
    gains = {int(row["step"]): float(row["validation_gain_db"]) for row in log(uninterrupted)}
    assert told["step"] == max(gains)  # the last
    assert told["validation_gain_db"] == pytest.approx(gains[told["step"]], abs=1e-3)
    card = (uninterrupted / "card.md").read_text()
    assert f"| all | 2 | {gains[told['step']]:+.2f} |" in card
    assert "town-a, town-b" in card


def test_a_training_may_begin_from_weights(tiny, cubes, uninterrupted, tmp_path):
    weights = uninterrupted / "weights.safetensors"
    small_steps = tiny(optimise={"learning_rate": 1e-9}, network={"width": 16})
    train(small_steps, cubes, tmp_path, CPU, threading.Event(), start=weights)
    before, after = load_refiner(weights), load_refiner(tmp_path / "weights.safetensors")
    assert after.shape == before.shape  # the weights' own, whatever the recipe says
    for expected, found in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    told = read_provenance(tmp_path / "weights.safetensors")["started_from"]
    assert Recipe.model_validate(told["recipe"]) == tiny()
    assert "town-a, town-b" in (tmp_path / "card.md").read_text()


def test_a_training_ends_with_its_time(tiny, cubes, tmp_path):
    recipe = tiny(optimise={"steps": 10_000, "minutes": 1e-4})
    done = run(recipe, cubes, tmp_path)
    assert done.finished
    assert done.step == 1
    session = train(tiny(), cubes, tmp_path / "session", CPU, threading.Event(), minutes=0.0)
    assert session.step == 0
    assert not session.finished


def test_a_tiny_network_learns_to_beat_the_linear_estimate(tiny, cubes, tmp_path):
    recipe = tiny(
        scenes={"real": 0.0},
        situations={"frames": [1, 1], "psf": {"box": 1.0}, "snr": [35, 35]},
        optimise={"steps": 40, "batch": 1, "reuse": 40, "pool": 1, "learning_rate": 0.01, "average": 0.5},
        validation={"files": [], "samples": 1, "every": 40},
    )
    run(recipe, None, tmp_path)
    assert float(log(tmp_path)[-1]["training_gain_db"]) > 0.1


def test_a_folder_with_another_run_is_left_alone(tiny, cubes, uninterrupted):
    with pytest.raises(ConfigError, match="another recipe"):
        run(tiny(optimise={"steps": 5}), cubes, uninterrupted)


def test_a_damaged_checkpoint_is_told(tiny, cubes, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(ReadError, match="damaged"):
        run(tiny(), cubes, tmp_path)


def test_scenes_cannot_be_both_trained_on_and_validated_on(tiny, cubes, tmp_path):
    with pytest.raises(ConfigError, match="town-b: both"):
        run(tiny(validation={"files": ["town-b"]}), cubes, tmp_path)

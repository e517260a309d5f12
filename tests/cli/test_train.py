"""``hsimisr train`` on the command line."""

from __future__ import annotations

import os
import signal

import pytest
import yaml

from hsimisr.cli.train import stop_at_ctrl_c
from hsimisr.networks.weights import load_refiner

RECIPE = {
    "scenes": {"real": 0.0, "bands": [10, 12]},
    "situations": {"scales": {2: 1.0}, "frames": [1, 2], "patches": [16], "affine": 0.0, "iterations": 10},
    "network": {"width": 8, "blocks": 1, "stages": 1, "evidence": 4, "groups": 2},
    "optimise": {"steps": 2, "batch": 1, "reuse": 1, "pool": 1},
    "validation": {"samples": 1, "every": 2},
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def test_a_training_writes_weights_card_and_log(run, recipe, tmp_path):
    code, out, err = run("train", recipe, "--out", tmp_path / "weights", "--device", "cpu", "--workers", 0)
    assert code == 0, err
    assert "2 steps" in out
    assert "finished" in out
    assert load_refiner(tmp_path / "weights" / "weights.safetensors").shape.width == 8
    assert (tmp_path / "weights" / "card.md").read_text().startswith("# Refiner weights")
    assert (tmp_path / "weights" / "log.csv").read_text().splitlines()[1].startswith("2,")


def test_missing_data_are_told_in_one_line(run, tmp_path):
    for given in ((), ("--data", tmp_path / "nowhere")):
        code, _, err = run("train", "refiner", *given, "--out", tmp_path / "weights", "--device", "cpu")
        assert code == 1
        assert "--data" in err
        assert err.count("\n") == 1
    assert not (tmp_path / "weights").exists()


def test_an_unknown_recipe_is_told(run, tmp_path):
    code, _, err = run("train", "refinery", "--out", tmp_path / "weights")
    assert code == 1
    assert "refiner-synthetic" in err


@pytest.fixture
def attended():
    """Ctrl-C as in a terminal; a job in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("attended")
def test_ctrl_c_asks_to_stop_first_and_ends_at_once_when_pressed_again(capsys):
    before = signal.getsignal(signal.SIGINT)
    with stop_at_ctrl_c() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopping" in capsys.readouterr().err

"""The table of `hsimisr register`: what was found of every frame, and how well it could be known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from hsimisr.cli.register import motion_table, noise_line
from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Registration

MOTIONS = (
    FrameMotion(np.eye(3)),
    FrameMotion(translation((0.25, -1.5)), np.diag([0.01, 0.04]) ** 2, gain=1.02, chi2=1.1),
    FrameMotion(translation((9, 9)), excluded=True, weight=0.0, reason="blurred"),
)
QUICK = ("--set", "register.method=gauss_newton", "--set", "register.model=translation")


@pytest.fixture
def files(sample_data, tmp_path):
    """Three sample frames, each in a file of its own, every sixth band."""
    with np.load(sample_data / "frames.npz") as file:
        frames = file["cube"][:3, ::6]
    for k, frame in enumerate(frames):
        np.savez(tmp_path / f"{k}.npz", cube=frame)
    return [tmp_path / f"{k}.npz" for k in range(3)]


def test_every_frame_shows_its_shift_error_bars_and_both_bounds():
    stack = FrameStack(tuple(Cube.from_array(np.zeros((2, 20, 20)), name=name) for name in "abc"))
    unknown, known = (np.stack([0 * np.eye(2), std**2 * np.eye(2), np.nan * np.eye(2)]) for std in (0.003, 0.0004))
    table = motion_table(Registration(MOTIONS), stack, unknown, known)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table)
    a, b, c = [line for line in shown.get().splitlines() if line.strip()][2:]
    assert a.split() == ["a", "0", "0", "reference"]
    shift = ["+0.2500", "±0.0100", "-1.5000", "±0.0400"]
    assert b.split() == ["b", "translation", *shift, "0.0030", "0.0004", "1.020", "1.10"]
    assert "blurred" in c
    assert "nan" not in c


def test_both_bounds_of_a_run_are_told_and_the_known_scene_is_the_lower(run, files, tmp_path):
    code, out, _ = run("register", *files, "--out", tmp_path / "registration.json", *QUICK)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "translation" in line]
    bounds = np.array([[float(row[6]), float(row[7])] for row in rows])
    assert len(bounds) == 2
    assert (bounds > 0).all()
    assert (bounds[:, 1] < bounds[:, 0]).all()


def test_the_noise_is_told_with_its_standard_error_and_stored(run, files, tmp_path):
    path = tmp_path / "registration.json"
    code, out, _ = run("register", *files, "--out", path, *QUICK)
    assert code == 0
    content = json.loads(path.read_text())
    noise, stderr = (np.median(np.array(content[key], float)) for key in ("noise", "noise_stderr"))
    assert out.splitlines()[-1] == f"noise found from the frames: {noise:.3g} ± {stderr:.2g} (median over bands)"


def test_fixed_noise_is_told_and_stored_without_standard_errors(run, files, tmp_path):
    path = tmp_path / "registration.json"
    code, out, _ = run("register", *files, "--out", path, *QUICK, "--set", "noise=5")
    assert code == 0
    assert out.splitlines()[-1] == "noise fixed: 5 (median over bands)"
    content = json.loads(path.read_text())
    assert content["noise_stderr"] is None
    assert set(content["noise"]) == {5.0}


def test_noise_that_does_not_fit_is_one_clear_line(run, files, tmp_path):
    code, _, err = run("register", *files, "--out", tmp_path / "registration.json", "--set", "noise=[0.1, 0.2]")
    assert code == 1
    assert "setting noise: it has 2 numbers" in err
    assert len(err.strip().splitlines()) == 1


def test_bands_too_clean_to_tell_do_not_count_towards_the_standard_error():
    sigma, stderr = np.array([1.0, 2.0, 3.0, np.nan]), np.array([0.1, np.nan, 0.3, np.nan])
    assert noise_line(sigma, stderr) == "noise found from the frames: 2 ± 0.2 (median over bands)"
    clean = noise_line(sigma, np.full(4, np.nan))
    assert clean == "noise found from the frames: 2, the least that is ever assumed (median over bands)"

"""The table of `hsimisr register`: what was found of every frame, and how well it could be known."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from hsimisr.cli.register import motion_table
from hsimisr.cube import Cube, FrameStack
from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Registration

MOTIONS = (
    FrameMotion(np.eye(3)),
    FrameMotion(translation((0.25, -1.5)), np.diag([0.01, 0.04]) ** 2, gain=1.02, chi2=1.1),
    FrameMotion(translation((9, 9)), excluded=True, weight=0.0, reason="blurred"),
)


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


def test_both_bounds_of_a_run_are_told_and_the_known_scene_is_the_lower(run, sample_data, tmp_path):
    with np.load(sample_data / "frames.npz") as file:
        frames = file["cube"][:3, ::6]
    for k, frame in enumerate(frames):
        np.savez(tmp_path / f"{k}.npz", cube=frame)
    files = [tmp_path / f"{k}.npz" for k in range(3)]
    quick = ("--set", "register.method=gauss_newton", "--set", "register.model=translation")
    code, out, _ = run("register", *files, "--out", tmp_path / "registration.json", *quick)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if " ±" in line]
    bounds = np.array([[float(row[6]), float(row[7])] for row in rows])
    assert len(bounds) == 2
    assert (bounds > 0).all()
    assert (bounds[:, 1] < bounds[:, 0]).all()

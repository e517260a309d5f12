"""`hsimisr refine` and `hsimisr register`, from files to files, and what Ctrl-C leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hsimisr.io.open import open_cube


@pytest.fixture(scope="module")
def frames(sample_data, tmp_path_factory):
    """Frame files of unlike sizes: what a person has who cut them by eye."""
    folder = tmp_path_factory.mktemp("frames")
    with np.load(sample_data / "frames.npz") as file:
        stack, wavelengths = file["cube"][:, ::6], file["wavelength_nm"][::6]
    for name, cube in (("a", stack[0]), ("b", stack[1][:, 2:40, 5:45]), ("c", stack[2][:, :30])):
        np.savez(folder / f"{name}.npz", cube=cube, wavelength_nm=wavelengths)
    return [folder / f"{name}.npz" for name in "abc"]


def test_register_finds_the_motion_between_cuts(run, frames, sample_data, tmp_path):
    code, out, _ = run("register", *frames, "--out", tmp_path / "registration.json")
    assert code == 0
    assert "reference" in out
    found = json.loads((tmp_path / "registration.json").read_text())["frames"]
    with np.load(sample_data / "frames.npz") as file:
        true = file["shifts"][:3] - [[0, 0], [2, 5], [0, 0]]
    # a hundredth of a pixel is five times the error bars of these frames
    np.testing.assert_allclose([np.array(frame["matrix"])[:2, 2] for frame in found], true, atol=0.01)


def test_a_view_gets_error_bars_settings_and_scores(run, frames, tmp_path):
    (tmp_path / "knobs.yaml").write_text("invert: {rounds: 0}\nsubspace: {rank: 3}\n")
    out, whole = tmp_path / "view.npz", tmp_path / "whole.npz"
    knobs = ("--config", tmp_path / "knobs.yaml", "--set", "subspace.rank=4")
    assert run("refine", *frames, "--out", whole, *knobs)[0] == 0
    code, said, err = run("refine", *frames, "--out", out, *knobs, "--view", "8:40,4:36", "--truth", whole)
    assert (code, err) == (0, "")
    assert "64 x 64 pixels at x2 from 3 of 3 frames, 4 eigen-images" in said
    sidecar = json.loads((tmp_path / "view.npz.json").read_text())
    assert sidecar["config"]["invert"]["rounds"] == 0
    assert sidecar["config"]["subspace"]["rank"] == 4  # --set wins over the file
    assert sidecar["view"] == "8:40,4:36"
    assert sidecar["metrics"]["sam"] < 1  # the view is cut out of the whole at the right place
    with np.load(out) as file:
        assert file["cube"].shape == file["std"].shape == (10, 64, 64)
        assert (file["std"] > 0).all()
        assert file["determined"].shape == (32, 32)
        assert sidecar["determined_share"] == pytest.approx(file["determined"].mean())
    assert f"the frames determine {sidecar['determined_share']:.0%} of the detail" in said
    assert len(sidecar["bar_scale"]) == 4


def test_a_preset_is_where_the_settings_begin(run, frames, tmp_path):
    out = tmp_path / "fast.npz"
    knobs = ("--preset", "fast", "--set", "subspace.rank=2", "--view", "8:24,4:20")
    assert run("refine", *frames, "--out", out, *knobs)[0] == 0
    config = json.loads((tmp_path / "fast.npz.json").read_text())["config"]
    assert (config["register"]["method"], config["invert"]["rounds"]) == ("gauss_newton", 0)
    assert (config["uncertainty"]["method"], config["subspace"]["rank"]) == ("none", 2)
    code, _, err = run("refine", *frames, "--out", tmp_path / "x.npz", "--preset", "worst")
    assert code == 1
    assert "fast, balanced, best, radiometric" in err


def test_known_motion_is_used_as_it_is(run, frames, tmp_path):
    run("register", *frames, "--out", tmp_path / "registration.json")
    known = tmp_path / "registration.json"
    run("refine", *frames, "--out", tmp_path / "a.npz", "--registration", known, "--set", "invert.method=mean")
    used = json.loads((tmp_path / "a.npz.json").read_text())["frames"]
    told = json.loads(known.read_text())["frames"]
    assert [frame["matrix"] for frame in used] == [frame["matrix"] for frame in told]


def test_images_of_a_sequence_are_frames_of_one_band(run, sample_data, tmp_path):
    with np.load(sample_data / "frames.npz") as file:
        np.save(tmp_path / "sequence.npy", file["cube"][:4, 20])
    code, said, _ = run("refine", tmp_path / "sequence.npy", "--bands-as-frames", "--out", tmp_path / "a.tif")
    assert code == 0
    assert "from 4 of 4 frames" in said
    assert open_cube(tmp_path / "a.tif").data.shape == (1, 96, 96)


def test_what_is_wrong_is_told_before_the_work(run, frames, tmp_path):
    for wrong, message in (
        (("--out", tmp_path / "a.xyz"), ".xyz is no format"),
        (("--out", tmp_path / "nowhere" / "a.npz"), "does not exist"),
        (("--out", tmp_path / "a.npz", "--truth", frames[1]), "give a truth of the same size"),
        (("--out", tmp_path / "a.npz", "--view", "90:99,0:9"), "outside the reference frame"),
        (("--out", tmp_path / "a.npz", "--set", "invert.method=magic"), "setting invert"),
    ):
        code, out, err = run("refine", *frames, *wrong)
        assert (code, out) == (1, "")
        assert err.startswith("hsimisr: ")
        assert err.count("\n") == 1
        assert message in err
    assert list(tmp_path.iterdir()) == []


def test_where_the_registration_goes_is_checked_before_the_work(run, frames, tmp_path):
    code, out, err = run("register", *frames, "--out", tmp_path / "nowhere" / "registration.json")
    assert (code, out) == (1, "")
    assert "does not exist" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("after_s", [0.1, 2.0], ids=["while libraries load", "at work"])
def test_ctrl_c_ends_with_one_line_and_no_file(frames, tmp_path, after_s):
    code = "from hsimisr.cli.app import main; print('started', flush=True); main()"
    endless = ["--scale", "8", "--set", "invert.rounds=10", "--set", "invert.tolerance=1e-6"]
    with subprocess.Popen(
        [sys.executable, "-c", code, "refine", *frames, *endless, "--out", tmp_path / "a.hdr"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in its background has them ignore the signal, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        process.stdout.readline()
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "hsimisr: stopped; no file is left half-written\n"
    assert list(tmp_path.iterdir()) == []


def test_a_registration_brings_its_psf_unless_one_is_given(run, frames, tmp_path):
    found, out = tmp_path / "registration.json", tmp_path / "refined.npz"
    quick = ("--set", "invert.rounds=0", "--set", "subspace.rank=2")
    assert run("register", *frames, "--out", found, "--psf", "box")[0] == 0
    assert run("refine", *frames, "--out", out, "--registration", found, *quick)[0] == 0
    sidecar = tmp_path / "refined.npz.json"
    assert json.loads(sidecar.read_text())["config"]["psf"] == "box"
    assert run("refine", *frames, "--out", out, "--registration", found, "--psf", "mtf:0.4", *quick)[0] == 0
    assert json.loads(sidecar.read_text())["config"]["psf"] == "mtf:0.4"


def test_a_report_is_written_beside_the_cube(run, frames, tmp_path):
    quick = ("--set", "invert.rounds=0", "--set", "subspace.rank=2")
    code, _, err = run("refine", *frames, "--out", tmp_path / "a.npz", "--report", tmp_path / "a.html", *quick)
    assert (code, err) == (0, "")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4
    assert "invert.rounds = 0" in page
    code, _, err = run("refine", *frames, "--out", tmp_path / "b.npz", "--report", tmp_path / "b.pdf", *quick)
    assert code == 1
    assert ".html" in err
    assert not (tmp_path / "b.npz").exists()

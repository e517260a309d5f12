"""`hsimisr evaluate`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hsimisr import metrics
from hsimisr.cube import Cube
from hsimisr.io.write import write_cube


@pytest.fixture
def scene():
    """A true cube (band, y, x) at scale 3, of 24 x 32 LR pixels."""
    return np.random.default_rng(0).random((4, 72, 96), np.float32) + 1


def test_whole_scene(run, scene, tmp_path):
    estimate = scene + np.float32(0.01)
    write_cube(tmp_path / "truth.hdr", Cube.from_array(scene))
    write_cube(tmp_path / "refined.hdr", Cube.from_array(estimate))
    code, out, _ = run("evaluate", tmp_path / "refined.hdr", "--truth", tmp_path / "truth.hdr", "--scale", 3, "--json")
    assert code == 0
    scores = json.loads(out)
    expected = metrics.evaluate(scene, estimate, 3)
    assert {name: scores[name] for name in expected.summary()} == expected.summary()
    assert (scores["scale"], scores["bands"], scores["border"]) == (3, 4, 6)


def test_scale_and_view_come_from_the_file_beside_the_estimate(run, scene, tmp_path):
    view = scene[:, 3 * 2 : 3 * 20, 3 * 5 : 3 * 25]
    write_cube(tmp_path / "truth.npz", Cube.from_array(scene))
    write_cube(tmp_path / "refined.nc", Cube.from_array(view * np.float32(1.1)))
    (tmp_path / "refined.nc.json").write_text(json.dumps({"config": {"scale": 3}, "view": "2:20,5:25"}))
    code, out, _ = run("evaluate", tmp_path / "refined.nc", "--truth", tmp_path / "truth.npz", "--json")
    assert code == 0
    scores = json.loads(out)
    assert scores["scale"] == 3
    # same directions of all spectra: only the right part of the truth gives a zero angle
    assert scores["sam"] == pytest.approx(0, abs=1e-4)
    assert "PSNR" in run("evaluate", tmp_path / "refined.nc", "--truth", tmp_path / "truth.npz")[1]


def test_bad_bands_do_not_count(run, scene, tmp_path):
    estimate = scene.copy()
    estimate[1] = np.nan
    write_cube(tmp_path / "truth.hdr", Cube.from_array(scene))
    write_cube(tmp_path / "refined.hdr", Cube.from_array(estimate, bad=[False, True, False, False]))
    scores = json.loads(run("evaluate", tmp_path / "refined.hdr", "--truth", tmp_path / "truth.hdr", "--json")[1])
    assert (scores["bands"], scores["rmse"], scores["psnr"]) == (3, 0, None)  # no finite PSNR for equal cubes


def test_sizes_that_do_not_fit_end_with_one_line(run, scene, tmp_path):
    write_cube(tmp_path / "truth.hdr", Cube.from_array(scene))
    write_cube(tmp_path / "refined.hdr", Cube.from_array(scene[:, :60, :60]))
    code, out, err = run("evaluate", tmp_path / "refined.hdr", "--truth", tmp_path / "truth.hdr")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "72 x 96" in err
    assert "60 x 60" in err
    code, _, err = run("evaluate", tmp_path / "refined.hdr", "--truth", tmp_path / "truth.hdr", "--view", "0:40,0:10")
    assert code == 1
    assert "view 0:40,0:10" in err


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"config": 3}'])
def test_a_damaged_sidecar_is_named(run, scene, tmp_path, text):
    write_cube(tmp_path / "cube.hdr", Cube.from_array(scene))
    (tmp_path / "cube.hdr.json").write_text(text)
    code, _, err = run("evaluate", tmp_path / "cube.hdr", "--truth", tmp_path / "cube.hdr")
    assert code == 1
    assert "cube.hdr.json" in err

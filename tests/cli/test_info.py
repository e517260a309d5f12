"""`hsimisr info`, and how the command line reports errors."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.io.write import write_cube


@pytest.fixture
def scene(tmp_path):
    cube = Cube.from_array(
        np.arange(1, 169, dtype=np.int16).reshape(4, 6, 7),
        wavelengths=[450, 550, 650, 750],
        bad=[False, True, True, False],
        nodata=-1,
        crs="EPSG:32633",
        transform=(365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0),
    )
    return write_cube(tmp_path / "scene.tif", cube)[0]


def test_table_tells_what_the_file_holds(run, scene):
    code, out, err = run("info", scene)
    assert (code, err) == (0, "")
    for part in ("4 bands, 6 x 7 pixels, int16", "450.00 to 750.00 nm", "2 (1-2, counted from 0)", "-1", "EPSG:32633"):
        assert part in out


def test_json_holds_the_same(run, scene):
    code, out, _ = run("info", "--json", scene)
    assert code == 0
    (entry,) = json.loads(out)
    assert (entry["bands"], entry["height"], entry["width"]) == (4, 6, 7)
    assert entry["wavelengths_nm"] == [450, 750]
    assert entry["bad_bands"] == [1, 2]
    assert entry["transform"] == [365055.0, 30.0, 0.0, 5807085.0, 0.0, -30.0]


def test_json_has_no_numbers_that_json_does_not_know(run, tmp_path):
    cube = Cube.from_array(np.ones((2, 3, 4), np.float32), wavelengths=[500, 600], fwhm=[np.nan, 5], nodata=np.nan)
    (path,) = write_cube(tmp_path / "scene.npz", cube)
    (entry,) = json.loads(run("info", "--json", path)[1], parse_constant=pytest.fail)
    assert (entry["nodata"], entry["fwhm_nm"]) == ("nan", [None, None])
    assert "nan" in run("info", path)[1]


def test_frames_of_one_file_are_listed_one_by_one(run, tmp_path):
    np.save(tmp_path / "frames.npy", np.ones((3, 4, 6, 7)))
    entries = json.loads(run("info", "--json", tmp_path / "frames.npy")[1])
    assert [entry["file"].rsplit("#")[1] for entry in entries] == ["0", "1", "2"]


def test_a_bad_file_does_not_hide_the_good_ones(run, scene, tmp_path):
    (tmp_path / "empty.mat").write_bytes(b"")
    code, out, err = run("info", tmp_path / "empty.mat", scene, tmp_path / "nowhere.hdr")
    assert code == 1
    assert "4 bands" in out
    assert [line.startswith("hsimisr: ") for line in err.splitlines()] == [True, True]


def test_usage_errors_end_with_two(run):
    assert run("info")[0] == 2
    assert run("info", "--wrong")[0] == 2
    assert run("dance")[0] == 2


def test_help_and_info_do_not_load_torch(scene):
    for arguments in (["--help"], ["info", str(scene)]):
        code = f"""
import sys
from hsimisr.cli.app import main
sys.argv = ["hsimisr", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert "torch" not in sys.modules
"""
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_real_file(run, shared_data):
    code, out, _ = run("info", shared_data / "scenes" / "enmap-potsdam.tif")
    assert code == 0
    assert "6 (129-134, counted from 0)" in out

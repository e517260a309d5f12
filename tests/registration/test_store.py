"""Registrations as files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hsimisr.cube import Cube, CubeSource, FrameStack
from hsimisr.errors import ReadError, StackError, WriteError
from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.store import for_frames, read_registration_file, write_registration

NAMES = ["a.hdr", "b.hdr", "c.mat"]


@pytest.fixture
def registration():
    rng = np.random.default_rng(0)
    affine = translation((0.3, -0.7))
    affine[:2, :2] += 0.01 * rng.standard_normal((2, 2))
    return Registration(
        (
            FrameMotion(np.eye(3)),
            FrameMotion(translation((1 / 3, -2 / 7)), rng.random((2, 2)), 1.02, rng.random(5), 0.8),
            FrameMotion(affine, excluded=True, reason="cloud", field=rng.random((2, 6, 7), np.float32), model="affine"),
        ),
        method="joint",
    )


@pytest.fixture
def path(tmp_path, registration):
    sources = [CubeSource(str(tmp_path / "data" / name)) for name in NAMES[:2]]
    sources.append(CubeSource(str(tmp_path / "data" / "c.mat"), "Y", 3))
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "registration.json"
    written = write_registration(target, registration, sources, np.arange(5) / 3, "mtf:0.29")
    assert written == [target, tmp_path / "out" / "registration.npz"]
    return target


def stack_of(folder, order, reference=0):
    sources = {"a": CubeSource(str(folder / "a.hdr")), "b": CubeSource(str(folder / "b.hdr"))}
    sources["c"] = CubeSource(str(folder / "c.mat"), "Y", 3)
    cubes = [Cube.from_array(np.ones((5, 6, 7)), name=name, source=sources[name]) for name in order]
    return FrameStack(tuple(cubes), reference)


def read_registration(path):
    """The motion of all three frames, in the order of the file."""
    return for_frames(path, stack_of(path.parents[1] / "data", "abc"))


def assert_same(ours: FrameMotion, theirs: FrameMotion) -> None:
    np.testing.assert_array_equal(ours.matrix, theirs.matrix)
    np.testing.assert_array_equal(ours.covariance, theirs.covariance)
    for key in ("gain", "weight", "excluded", "reason", "model"):
        assert getattr(ours, key) == getattr(theirs, key)
    for key in ("offset", "field"):
        assert (getattr(ours, key) is None) == (getattr(theirs, key) is None)
        if getattr(ours, key) is not None:
            np.testing.assert_array_equal(getattr(ours, key), getattr(theirs, key))


def test_comes_back_identical(path, registration):
    read = read_registration(path)
    assert (read.reference, read.method) == (0, "joint")
    for ours, theirs in zip(read.frames, registration.frames, strict=True):
        assert_same(ours, theirs)
    content = read_registration_file(path)
    assert content.noise == (np.arange(5) / 3).tolist()
    assert content.psf.kind == "mtf:0.29"


def test_paths_are_relative_so_that_the_folder_can_move(path):
    content = json.loads(path.read_text())
    assert [frame["file"] for frame in content["frames"]] == ["../data/a.hdr", "../data/b.hdr", "../data/c.mat"]
    assert content["frames"][2]["params"] == [0.3, -0.7]


def test_frames_are_matched_by_file_in_any_order_and_number(path, tmp_path, registration):
    for folder in (tmp_path / "data", tmp_path / "moved"):  # by whole path, or by name alone
        found = for_frames(path, stack_of(folder, "ca", reference=1))
        assert found.reference == 1
        assert_same(found.frames[0], registration.frames[2])
        assert_same(found.frames[1], registration.frames[0])


def test_frames_that_do_not_fit_are_named(path, tmp_path):
    with pytest.raises(StackError, match=r"make .*a\.hdr the reference"):
        for_frames(path, stack_of(tmp_path / "data", "bca", reference=0))
    stranger = Cube.from_array(np.ones((5, 6, 7)), source=CubeSource(str(tmp_path / "z.hdr")))
    with pytest.raises(StackError, match=r"z\.hdr is not in it; it knows \.\./data/a\.hdr"):
        for_frames(path, FrameStack((stranger,)))
    with pytest.raises(StackError, match="comes from no file"):
        for_frames(path, FrameStack((Cube.from_array(np.ones((5, 6, 7))),)))


def test_a_name_that_fits_twice_is_not_guessed(tmp_path, registration):
    sources = [CubeSource(str(tmp_path / folder / "a.hdr")) for folder in "xyz"]
    write_registration(tmp_path / "r.json", registration, sources, np.ones(5), "box")
    assert_same(for_frames(tmp_path / "r.json", stack_of(tmp_path / "x", "a")).frames[0], registration.frames[0])
    with pytest.raises(StackError, match="fits several"):
        for_frames(tmp_path / "r.json", stack_of(tmp_path / "w", "a"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 2, "version"),
        ("reference", 3, "frame 3 of 3"),
        ("frames", [], "frames"),
        ("noise", None, "noise"),
        ("psf", "box", "psf"),
    ],
)
def test_bad_content_is_named(path, key, value, message):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, key: value}))
    with pytest.raises(ReadError, match=message) as error:
        read_registration(path)
    assert "registration.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "not json", "\x00\xff"])
def test_damaged_files_are_refused(path, text):
    path.write_text(text)
    with pytest.raises(ReadError, match=r"registration\.json"):
        read_registration(path)


def test_missing_files_are_refused(path, tmp_path):
    with pytest.raises(ReadError, match=r"nowhere\.json"):
        read_registration(tmp_path / "nowhere.json")
    path.with_suffix(".npz").write_bytes(b"PK broken")
    with pytest.raises(ReadError, match=r"registration\.npz"):
        read_registration(path)
    path.with_suffix(".npz").unlink()
    with pytest.raises(ReadError, match=r"registration\.npz"):
        read_registration(path)


def test_files_and_frames_must_be_as_many(tmp_path, registration):
    with pytest.raises(WriteError, match="1 files for 3"):
        write_registration(tmp_path / "r.json", registration, [CubeSource("a.hdr")], np.ones(5), "box")


def test_an_estimated_psf_keeps_axes_angle_and_standard_errors(tmp_path, registration):
    path = tmp_path / "r.json"
    sources = [CubeSource(str(tmp_path / name)) for name in NAMES]
    write_registration(path, registration, sources, np.ones(5), "gauss:1.2,0.9,30", (0.1, 0.05, 4.0))
    found = read_registration_file(path).psf
    assert found.kind == "gauss:1.2,0.9,30"
    assert (*found.fwhm, found.angle) == pytest.approx((1.2, 0.9, 30))
    assert found.stderr == (0.1, 0.05, 4.0)


def test_a_given_psf_has_no_standard_error(path):
    assert json.loads(path.read_text())["psf"]["stderr"] is None


def test_a_psf_that_is_none_is_named(path):
    content = json.loads(path.read_text())
    content["psf"]["kind"] = "auto"
    path.write_text(json.dumps(content))
    with pytest.raises(ReadError, match=r"psf\.kind: a PSF is needed here, which auto is not"):
        read_registration(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("gain", 0, r"frames\.1\.gain"),
        ("gain", float("nan"), r"frames\.1\.gain"),
        ("weight", -0.1, r"frames\.1\.weight"),
        ("weight", 1.5, r"frames\.1\.weight"),
        ("offset", [0, float("inf"), 0, 0, 0], r"frames\.1\.offset"),
        ("matrix", [[1, 0, float("nan")], [0, 1, 0], [0, 0, 1]], r"frames\.1\.matrix"),
        ("matrix", [[1, 0, 0], [2, 0, 0], [0, 0, 1]], r"frames\.1\.matrix: is singular"),
    ],
)
def test_motion_that_cannot_be_used_is_named(path, key, value, message):
    content = json.loads(path.read_text())
    content["frames"][1][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ReadError, match=message) as error:
        read_registration(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"excluded": True}, {"weight": 0}])
def test_a_registration_that_leaves_every_frame_out_is_refused(path, change):
    content = json.loads(path.read_text())
    for frame in content["frames"]:
        frame.update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ReadError, match="every frame is left out"):
        read_registration(path)


def test_fields_that_are_not_numbers_are_refused(path):
    for field in (np.full((2, 6, 7), np.nan, np.float32), np.full((2, 6, 7), "a")):
        np.savez(path.with_suffix(".npz"), field_2=field)
        with pytest.raises(ReadError, match=r"field_2 in registration\.npz"):
            read_registration(path)


def test_motion_of_other_frames_is_refused(path, tmp_path):
    cubes = {
        key: Cube.from_array(np.ones(shape), name=key, source=stack_of(tmp_path / "data", key).frames[0].source)
        for key, shape in (("a", (5, 8, 9)), ("b", (5, 6, 7)), ("c", (5, 6, 7)))
    }
    with pytest.raises(StackError, match=r"field of c has shape \(2, 6, 7\).*\(2, 8, 9\)"):
        for_frames(path, FrameStack((cubes["a"], cubes["c"])))
    thin = tuple(Cube.from_array(np.ones((4, 6, 7)), name=key, source=cubes[key].source) for key in "ab")
    with pytest.raises(StackError, match="offset of b has 5 bands and the frames have 4"):
        for_frames(path, FrameStack(thin))


def test_every_frame_asked_for_being_left_out_is_told(path, tmp_path):
    content = json.loads(path.read_text())
    content["frames"][0]["excluded"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(StackError, match="leaves out every one of these frames"):
        for_frames(path, stack_of(tmp_path / "data", "ac"))


def test_what_is_written_is_json_for_every_reader(tmp_path, registration):
    sources = [CubeSource(str(tmp_path / name)) for name in NAMES]
    path, _ = write_registration(tmp_path / "r.json", registration, sources, np.array([0.5, np.nan]), "box")
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["noise"] == [0.5, None]
    assert read_registration_file(path).noise == [0.5, None]


def test_standard_errors_of_the_noise_come_back_with_gaps(tmp_path, registration):
    sources = [CubeSource(str(tmp_path / name)) for name in NAMES]
    noise, stderr = np.array([0.5, np.nan, 0.2]), np.array([0.01, np.nan, np.nan])
    path, _ = write_registration(tmp_path / "r.json", registration, sources, noise, "box", noise_stderr=stderr)
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["noise_stderr"] == [0.01, None, None]
    assert read_registration_file(path).noise_stderr == [0.01, None, None]


def test_fixed_noise_has_no_standard_errors(path):
    assert json.loads(path.read_text())["noise_stderr"] is None


def test_files_from_before_standard_errors_of_the_noise_are_read(path, registration):
    content = json.loads(path.read_text())
    del content["noise_stderr"]
    path.write_text(json.dumps(content))
    assert read_registration_file(path).noise_stderr is None
    assert_same(read_registration(path).frames[1], registration.frames[1])


def test_standard_errors_of_other_bands_are_named(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "noise_stderr": [0.1, 0.2]}))
    with pytest.raises(ReadError, match="2 standard errors of the noise of 5 bands"):
        read_registration(path)


def test_motion_that_cannot_be_used_is_not_written(tmp_path):
    lost = Registration((FrameMotion(np.eye(3), gain=np.nan),))
    with pytest.raises(WriteError, match="gain"):
        write_registration(tmp_path / "r.json", lost, [CubeSource("a.hdr")], np.ones(1), "box")
    assert list(tmp_path.iterdir()) == []

"""Parts of real cubes: which files, which bands, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import ConfigError, ReadError
from hsimisr.training.real_scenes import cut, good_bands, largest_side, matching


def stems(paths):
    return [path.stem for path in paths]


def test_patterns_name_cubes_by_their_stems(cubes):
    assert stems(matching(cubes, ["town-*"])) == ["town-a", "town-b"]
    assert stems(matching(cubes, ["village", "*-a"])) == ["town-a", "village"]
    assert matching(cubes, []) == ()


def test_missing_cubes_are_named(cubes, tmp_path):
    with pytest.raises(ConfigError, match=r"no cube is called harbour"):
        matching(cubes, ["town-*", "harbour"])
    with pytest.raises(ConfigError, match="--data"):
        matching(None, ["*"])
    with pytest.raises(ConfigError, match="--data"):
        matching(tmp_path / "nowhere", ["*"])
    with pytest.raises(ReadError, match="no cubes"):
        matching(tmp_path, ["*"])


def test_a_part_holds_neighbouring_good_bands_and_pixels_of_the_scene(cubes):
    path = cubes / "town-a.npz"
    scene = good_bands(path)
    assert len(scene) == 19
    part = cut(path, 40, (5, 5), np.random.default_rng(1))
    assert part.shape == (5, 40, 40)
    spectra = {pixel.tobytes() for b in range(15) for pixel in scene[b : b + 5].reshape(5, -1).T.copy()}
    assert all(pixel.tobytes() in spectra for pixel in part.reshape(5, -1).T.copy())


def test_parts_differ_and_come_back_with_the_seed(cubes):
    path = cubes / "town-a.npz"
    parts = [cut(path, 40, (8, 8), np.random.default_rng(seed)) for seed in (1, 2, 1)]
    assert not np.array_equal(parts[0], parts[1])
    np.testing.assert_array_equal(parts[0], parts[2])


def test_a_part_larger_than_the_scene_is_mirrored_without_a_seam(cubes):
    path = cubes / "town-a.npz"
    scene, side = good_bands(path), largest_side(path)
    assert side > max(scene.shape[1:])
    part = cut(path, side, (19, 19), np.random.default_rng(0))
    # neighbours in the part are neighbours in the scene, in the same direction or the other
    steps = max(np.abs(np.diff(scene, axis=axis)).max() for axis in (1, 2))
    assert max(np.abs(np.diff(part, axis=axis)).max() for axis in (1, 2)) <= steps

"""Drawn scenes have the statistics that they are drawn for."""

from __future__ import annotations

import numpy as np

from hsimisr.training.dead_leaves import Leaves, dead_leaves
from hsimisr.training.synthetic_scenes import draw_scene, draw_spectra, fractal


def test_a_scene_is_finite_and_comes_back_with_its_seed():
    scenes = [draw_scene(48, 20, np.random.default_rng(seed)) for seed in (3, 4, 3)]
    assert scenes[0].shape == (20, 48, 48)
    assert all(np.isfinite(scene).all() and scene.min() > 0 for scene in scenes)
    np.testing.assert_array_equal(scenes[0], scenes[2])
    assert not np.array_equal(scenes[0], scenes[1])


def test_scenes_lie_near_a_subspace_that_is_smaller_than_their_bands():
    scene = draw_scene(48, 60, np.random.default_rng(0)).reshape(60, -1)
    values = np.linalg.svd(scene - scene.mean(1, keepdims=True), compute_uv=False) ** 2
    assert values[17:].sum() < 1e-6 * values.sum()  # at most 16 materials, and the light
    assert values[1] > 1e-4 * values[0]


def test_spectra_are_positive_and_smooth_but_differ():
    spectra = draw_spectra(8, 120, np.random.default_rng(0))
    assert spectra.min() > 0
    assert np.linalg.matrix_rank(spectra, tol=1e-3) >= 6


def test_the_power_of_a_fractal_falls_as_asked():
    field = fractal((4, 128, 128), 3.0, np.random.default_rng(0))
    np.testing.assert_allclose(field.std((1, 2)), 1, rtol=1e-6)
    window = np.hanning(128)[:, None] * np.hanning(128)
    power = (np.abs(np.fft.fft2(field * window)) ** 2).mean(0)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128), indexing="ij"))
    bands = [(radius > low) & (radius < 1.3 * low) for low in (0.05, 0.2)]
    slope = np.log(power[bands[1]].mean() / power[bands[0]].mean()) / np.log(0.2 / 0.05)
    assert -3.4 < slope < -2.6


def test_leaves_cover_each_other_and_their_sizes_follow_the_law():
    rng = np.random.default_rng(1)
    labels = dead_leaves((300, 300), Leaves(600, 3.0, 60.0, 0.0), rng)
    assert labels.min() >= 0
    assert labels.max() == 600  # the last one lies on top
    area = np.bincount(labels.ravel(), minlength=601)[1:]
    # with a density of r^-3 half of the objects are smaller than 1.41 times the smallest
    assert 0.5 < (area < np.pi * (1.42 * 3) ** 2).mean() < 0.95
    assert area.max() > 20 * np.median(area[area > 0])


def test_without_leaves_all_ground_is_bare():
    assert not dead_leaves((20, 30), Leaves(0, 1.0, 5.0, 0.1), np.random.default_rng(0)).any()

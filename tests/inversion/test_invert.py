"""Every method of the catalogue behind one call: where it puts things, and what it makes of gains and offsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import View, hr_to_lr, translation
from hsimisr.inversion.config import (
    BackProjectionConfig,
    BicubicConfig,
    DrizzleConfig,
    LmmseConfig,
    MeanConfig,
    TotalVariationConfig,
)
from hsimisr.inversion.invert import FrameWindow, invert, observe
from hsimisr.inversion.oracle import oracle_scene
from hsimisr.inversion.prior import radial_frequencies, spectrum_of
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration, SceneModel, Subspace

CPU = torch.device("cpu")
METHODS = [
    BicubicConfig(),
    MeanConfig(),
    DrizzleConfig(),
    BackProjectionConfig(),
    TotalVariationConfig(iterations=30),
    LmmseConfig(rounds=0),
    LmmseConfig(),
]
names = [f"{m.method}{getattr(m, 'rounds', '')}" for m in METHODS]
SHAPE = (30, 28)
SHIFTS = np.array([[0.0, 0.0], [0.5, -0.25], [-0.3, 0.4], [0.2, 0.6], [1.4, -0.8]])
BLOB, WIDTH, HEIGHT = np.array([14.3, 12.8]), 2.0, 100.0
MEAN, SIGMA = np.array([40.0, 60.0]), np.array([1.0, 2.0])


def blob(y, x):
    return HEIGHT * np.exp(-((y - BLOB[0]) ** 2 + (x - BLOB[1]) ** 2) / (2 * WIDTH**2))


def scene_of(scale, registration=None):
    """Two bands that are their own eigen-images."""
    subspace = Subspace(MEAN, SIGMA, np.eye(2), np.ones(2), np.zeros(2, bool))
    frequency = radial_frequencies(scale, SHAPE)
    prior = PowerSpectrum(frequency, np.stack([1e3 * frequency**-1.5, 1e3 * frequency**-1.5]) * 1e-2)
    registration = registration or Registration(tuple(FrameMotion(translation(s)) for s in SHIFTS))
    return SceneModel(registration, "gauss:0.6", subspace, prior, scale)


def cubes_of(shifts=SHIFTS):
    """A blob in both bands, so wide that the PSF hardly matters, as each frame sees it, data units."""
    y, x = np.indices(SHAPE)
    return [np.stack([blob(y - dy, x - dx) + MEAN[0], 2 * blob(y - dy, x - dx) + MEAN[1]]) for dy, dx in shifts]


def window_of(cubes, scene):
    frames = [scene.subspace.project(cube.astype(np.float32)) for cube in cubes]
    return FrameWindow(frames, [np.ones(f.shape[1:], bool) for f in frames], [(0, 0)] * len(frames))


@pytest.mark.parametrize("config", METHODS, ids=names)
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_every_method_puts_the_blob_where_it_is(config, scale):
    """The centroid over a view that begins somewhere; half an HR pixel off would be 0.17 LR pixels or more."""
    scene = scene_of(scale)
    view = View(3, 27, 2, 26)
    mean, _ = invert(window_of(cubes_of(), scene), scene, view, config, CPU)
    assert mean.shape == (2, 24 * scale, 24 * scale)
    y, x = (hr_to_lr(np.arange(n), scale) + o for n, o in zip(mean.shape[1:], view.origin, strict=True))
    mass = np.where(mean[0] > 0.05 * HEIGHT, mean[0], 0).astype(float)
    centroid = np.array([mass.sum(1) @ y, mass.sum(0) @ x]) / mass.sum()
    assert centroid == pytest.approx(BLOB, abs=0.05)


@pytest.mark.parametrize("config", METHODS, ids=names)
def test_every_method_keeps_the_radiometry(config):
    """Sums over the blob, which no symmetric PSF and no interpolation changes, at 1 % (TV flattens peaks, not sums)."""
    scene = scene_of(2)
    mean, _ = invert(window_of(cubes_of(), scene), scene, View.whole(SHAPE), config, CPU)
    expected = 2 * np.pi * WIDTH**2 * HEIGHT * 2**2
    assert mean.sum((1, 2)) == pytest.approx([expected, expected], rel=0.01)


@pytest.mark.parametrize("config", METHODS, ids=names)
def test_gains_and_offsets_do_not_change_the_result(config):
    """gain * scene + offset, told to the method, is the scene; what remains is that a gain changes a frame's noise."""
    gain, offset = 1.2, np.array([5.0, -8.0])
    cubes = cubes_of()
    motions = [FrameMotion(translation(s)) for s in SHIFTS]
    plain_scene = scene_of(2)
    plain, _ = invert(window_of(cubes, plain_scene), plain_scene, View.whole(SHAPE), config, CPU)
    cubes[1] = gain * cubes[1] + offset[:, None, None]
    motions[1] = FrameMotion(translation(SHIFTS[1]), gain=gain, offset=offset)
    scene = scene_of(2, Registration(tuple(motions)))
    changed, _ = invert(window_of(cubes, scene), scene, View.whole(SHAPE), config, CPU)
    assert changed == pytest.approx(plain, abs=0.01 * HEIGHT)


@pytest.mark.parametrize("config", METHODS, ids=names)
def test_only_the_lmmse_has_error_bars(config):
    scene = scene_of(2)
    mean, posterior = invert(window_of(cubes_of(), scene), scene, View(4, 20, 4, 18), config, CPU)
    if isinstance(config, LmmseConfig):
        assert posterior.variance.shape == mean.shape
        assert (posterior.variance > 0).all()
        assert posterior.determined.shape == (16, 14)
        assert ((posterior.determined > 0) & (posterior.determined < 1)).all()
    else:
        assert posterior is None


def test_uncertain_shifts_widen_the_error_bars():
    covariance = 0.01 * np.eye(2)
    motions = tuple(FrameMotion(translation(s), covariance=covariance) for s in SHIFTS)
    scene = scene_of(2, Registration(motions))
    window, view = window_of(cubes_of(), scene), View(4, 20, 4, 18)
    sure, unsure = (invert(window, scene, view, LmmseConfig(inflate=i, rounds=0), CPU)[1] for i in (False, True))
    assert (unsure.variance > sure.variance).all()
    assert (unsure.determined < sure.determined).all()


def test_observing_lays_out_what_the_view_needs():
    scene = scene_of(2)
    observations = observe(window_of(cubes_of(), scene), scene, View(4, 20, 4, 18), CPU)
    assert observations.canvas.view == View(4, 20, 4, 18)
    assert len(observations.data) == len(SHIFTS)


def test_the_oracle_knows_motion_and_spectrum():
    scene = replace(scene_of(2), registration=Registration((FrameMotion(np.eye(3)),)))
    truth = np.random.default_rng(0).uniform(20, 60, (2, 40, 36)).astype(np.float32)
    told = Registration(tuple(FrameMotion(translation(s)) for s in SHIFTS))
    oracle = oracle_scene(scene, truth, told)
    assert oracle.registration is told
    expected = spectrum_of(scene.subspace.project(truth), 2, radial_frequencies(2, (20, 18)))
    assert np.array_equal(oracle.prior.power, expected.power)

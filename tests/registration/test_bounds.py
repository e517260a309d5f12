"""The bounds of a shift against numerical Fisher information, and the laws they keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.geometry import apply_motion, hr_to_lr, translation
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration, SceneModel, Subspace
from hsimisr.registration import bounds
from hsimisr.registration.bounds import known_scene_bound, unknown_scene_bound

PSF = "mtf:0.29"
STEEP = PowerSpectrum(np.array([0.05, 0.3, 1.0, 3.0]), np.array([[40.0, 8.0, 1.0, 0.1], [5.0, 2.0, 0.4, 0.05]]))


def scene_of(shifts, scale=2, noise=1.0, psf=PSF, reference=0, prior=STEEP):
    """A scene model of frames at `shifts`, with as many eigen-images as the prior has rows."""
    rank = len(prior.power)
    subspace = Subspace(np.zeros(4), np.ones(4), np.eye(4)[:, :rank], np.ones(rank), np.zeros(4, bool))
    registration = Registration(tuple(FrameMotion(translation(d)) for d in shifts), reference)
    return SceneModel(registration, psf, subspace, prior, scale, misfit=np.full((len(shifts), rank), noise))


def drawn_shifts(frames, seed=0, reference=0):
    shifts = np.random.default_rng(seed).uniform(-2, 2, (frames, 2))
    shifts[reference] = 0
    return shifts


class Waves:
    """Scenes of cosines that go on evenly beyond the frame, whose blurred values are known in closed form."""

    def __init__(self, shape, rank, seed=0):
        rng = np.random.default_rng(seed)
        self.numbers = rng.integers(0, 5, (rank, 6, 2)) / 2 / np.asarray(shape)  # cycles per LR pixel
        self.sizes = rng.standard_normal((rank, 6))

    def at(self, y, x, transfer=np.ones_like):
        """Values ``(r, len(y), len(x))`` at LR coordinates."""
        axes = [
            np.cos(2 * np.pi * self.numbers[..., axis, None] * (p + 0.5)) * transfer(self.numbers[..., axis])[..., None]
            for axis, p in enumerate((y, x))
        ]
        return np.einsum("rn,rny,rnx->ryx", self.sizes, *axes)


@pytest.mark.parametrize(("scale", "psf"), [(2, "mtf:0.29"), (3, "box"), (4, "gauss:1.0")])
def test_known_scene_bound_is_the_inverse_of_the_numerical_fisher_information(scale, psf):
    h, w, noise, step = 12, 10, 1.7, 1e-5
    waves, transfer = Waves((h, w), 2), Psf.parse(psf).transfer
    shifts = np.array([[0, 0], [0.3, -0.45], [-1.2, 2.6]])
    images = waves.at(hr_to_lr(np.arange(scale * h), scale), hr_to_lr(np.arange(scale * w), scale))
    bound = known_scene_bound(scene_of(shifts, scale, noise, psf), images)
    assert not bound[0].any()
    for shift, found in zip(shifts[1:], bound[1:], strict=True):
        # pixels of the frame whose ground lies on the reference
        rows, columns = np.arange(h), np.arange(w)
        y = rows[(rows - shift[0] >= -0.5) & (rows - shift[0] <= h - 0.5)]
        x = columns[(columns - shift[1] >= -0.5) & (columns - shift[1] <= w - 0.5)]

        def frame(d, y=y, x=x):
            return waves.at(y - d[0], x - d[1], transfer).ravel()

        slopes = [(frame(shift + e) - frame(shift - e)) / (2 * step) for e in step * np.eye(2)]
        information = np.array([[a @ b for b in slopes] for a in slopes]) / noise
        assert found == pytest.approx(np.linalg.inv(information), rel=1e-6)


@pytest.mark.parametrize(("scale", "shape", "frames"), [(2, (6, 5), 3), (1, (5, 6), 2), (3, (4, 4), 4)])
def test_unknown_scene_bound_is_the_inverse_of_the_numerical_fisher_information(scale, shape, frames):
    """Frames are Gaussian with covariance A P A' + noise: dense, their derivatives by finite differences."""
    reference, noise, step = 1, 0.8, 1e-5
    shifts = drawn_shifts(frames, reference=reference)
    fy, fx = (np.fft.fftfreq(scale * n) * scale for n in shape)
    radius = np.hypot(fy[:, None], fx[None, :])
    pixels = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1).reshape(-1, 2)
    blur = np.outer(*(np.where(np.abs(f) == scale / 2, 0, Psf.parse(PSF).transfer(f)) for f in (fy, fx))).ravel()
    waves = np.stack(np.meshgrid(fy, fx, indexing="ij"), -1).reshape(-1, 2)

    def covariance(shifts, power):
        ground = (pixels[None] - shifts[:, None]).reshape(-1, 2)
        seen = np.exp(2j * np.pi * ground @ waves.T) * blur
        return (seen * power / len(pixels) @ seen.conj().T).real + noise * np.eye(len(ground))

    information = 0.0
    free = [k for k in range(frames) if k != reference]
    for power in STEEP.at(radius).reshape(2, -1):
        inverse = np.linalg.inv(covariance(shifts, power))
        slopes = []
        for k in free:
            for axis in range(2):
                moved = np.zeros_like(shifts)
                moved[k, axis] = step
                slope = (covariance(shifts + moved, power) - covariance(shifts - moved, power)) / (2 * step)
                slopes.append(inverse @ slope)
        information = information + np.array([[np.trace(a @ b) / 2 for b in slopes] for a in slopes])
    dense = np.linalg.inv(information)
    bound = unknown_scene_bound(scene_of(shifts, scale, noise, reference=reference), shape)
    assert not bound[reference].any()
    for n, k in enumerate(free):
        assert bound[k] == pytest.approx(dense[2 * n : 2 * n + 2, 2 * n : 2 * n + 2], rel=1e-6)


def scene_drawn_from(prior, scale, shape, rng):
    """Eigen-images ``(r, s h, s w)`` with this power spectrum."""
    fy, fx = (np.fft.fftfreq(scale * n) * scale for n in shape)
    power = prior.at(np.hypot(fy[:, None], fx[None, :])) * scale**2
    white = np.fft.fft2(rng.standard_normal(power.shape))
    return np.fft.ifft2(white * np.sqrt(power)).real


@pytest.mark.parametrize(("frames", "noise"), [(2, 1.0), (4, 0.1), (8, 0.1), (8, 10.0)])
def test_not_knowing_the_scene_never_helps(frames, noise):
    """The information of the known scene is averaged over scenes that the prior draws."""
    shape, rng = (24, 24), np.random.default_rng(1)
    shifts = 0.4 * drawn_shifts(frames)  # less than a pixel, so that the overlap is nearly the frame
    scene = scene_of(shifts, noise=noise)
    drawn = [known_scene_bound(scene, scene_drawn_from(STEEP, 2, shape, rng))[1:] for _ in range(20)]
    known = np.linalg.inv(np.mean(np.linalg.inv(drawn), 0))
    unknown = unknown_scene_bound(scene, shape)[1:]
    assert (np.linalg.eigvalsh(unknown - known) > 0).all()


SHARP = "gauss:0.4"  # shows every alias at scale 3


def test_bounds_scale_with_the_noise_power():
    """The unknown scene's does where there are more frames than aliases and the noise is well below the detail."""
    shape, shifts = (15, 15), drawn_shifts(14)
    images = scene_drawn_from(STEEP, 3, shape, np.random.default_rng(0))
    scenes = [scene_of(shifts, scale=3, noise=noise, psf=SHARP) for noise in (1e-6, 1e-8)]
    loud, quiet = (known_scene_bound(scene, images)[1:] for scene in scenes)
    assert loud / quiet == pytest.approx(np.full_like(loud, 100.0))
    loud, quiet = (np.trace(unknown_scene_bound(scene, shape)[1:], axis1=1, axis2=2) for scene in scenes)
    assert loud / quiet == pytest.approx(np.full_like(loud, 100.0), rel=0.02)


def test_fewer_frames_than_aliases_leave_a_floor():
    shape, shifts = (15, 15), drawn_shifts(5)
    scenes = [scene_of(shifts, scale=3, noise=noise, psf=SHARP) for noise in (1e-4, 1e-6)]
    floors = [np.trace(unknown_scene_bound(scene, shape)[1]) for scene in scenes]
    assert floors[1] == pytest.approx(floors[0], rel=0.02)


def test_gain_and_weight_count_as_less_noise_and_excluded_frames_have_no_bound():
    shape, shifts = (12, 12), drawn_shifts(4)
    images = scene_drawn_from(STEEP, 2, shape, np.random.default_rng(0))
    plain = scene_of(shifts)
    frames = list(plain.registration.frames)
    frames[1], frames[2] = replace(frames[1], gain=2.0), replace(frames[2], excluded=True, weight=0.0)
    changed = replace(plain, registration=replace(plain.registration, frames=tuple(frames)))
    known = known_scene_bound(changed, images)
    assert known[1] == pytest.approx(known_scene_bound(plain, images)[1] / 4)
    for bound in (known, unknown_scene_bound(changed, shape)):
        assert np.isnan(bound[2]).all()
        assert np.isfinite(bound[[0, 1, 3]]).all()


def test_a_scene_without_detail_leaves_the_shift_open():
    scene = scene_of(drawn_shifts(2))
    bound = known_scene_bound(scene, np.ones((2, 16, 16)))[1]
    assert np.diag(bound).min() > 1e12  # infinite, but for rounding


def test_a_motion_that_turns_counts_as_its_shift_at_the_middle():
    shape, middle = (13, 13), np.array([6, 6])
    turn = np.eye(3)
    turn[:2, :2] += [[0.01, -0.03], [0.03, 0.01]]
    turn[:2, 2] = [0.7, -0.2]
    shift = apply_motion(turn, middle) - middle
    plain = scene_of([[0, 0], shift])
    turned = Registration((FrameMotion(np.eye(3)), FrameMotion(turn, model="affine")))
    bound = unknown_scene_bound(replace(plain, registration=turned), shape)
    assert bound == pytest.approx(unknown_scene_bound(plain, shape))


def test_large_frames_need_no_more_frequencies_than_small_ones(monkeypatch):
    """What a few frequencies tell is what all of them do, but for the lowest, which tell little of a shift."""
    scene = scene_of(np.array([[0, 0], [0.3, -0.45], [-1.2, 0.6]]), 2, 1.7)
    few = unknown_scene_bound(scene, (96, 80))
    monkeypatch.setattr(bounds, "ENOUGH", 96)
    assert few == pytest.approx(unknown_scene_bound(scene, (96, 80)), rel=0.02, abs=1e-9)

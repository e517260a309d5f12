"""The PSF found from frames, on scenes with the spectrum that the estimate takes scenes to have, and on drawn ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsimisr.geometry import translation
from hsimisr.physics.psf import Psf
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import Simulation, simulate
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.psf_estimate import MOST_FRAMES, FoundPsf, estimate_psf
from hsimisr.registration.psf_scoring import EXPONENT, PIXEL_BLUR
from hsimisr.registration.psf_width import fwhm


def textures(size: int, seed: int) -> np.ndarray:
    """Gaussian textures ``(3, Y, X)`` with the spectrum of scenes as an HR pixel sees them."""
    noise = np.random.default_rng(seed).standard_normal((3, size, size))
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    f[0, 0] = np.inf
    amplitude = f ** (-EXPONENT / 2) * np.exp(-2 * np.pi**2 * PIXEL_BLUR * np.where(np.isinf(f), 0, f) ** 2)
    images = np.fft.ifft2(np.fft.fft2(noise) * amplitude).real
    return images / images.std((1, 2), keepdims=True)


def seen(psf: str, frames: int = 6, scale: int = 2, size: int = 104, seed: int = 0, snr: float = 45.0) -> Simulation:
    return simulate(textures(size, seed), scale, frames, psf, snr=snr, seed=seed)


def find(simulation: Simulation, scale: int = 2, registration: Registration | None = None) -> FoundPsf:
    """From frames of independent bands: each is an eigen-image once its noise has unit variance."""
    frames = [(frame / simulation.sigma[:, None, None]).astype(np.float32) for frame in simulation.frames]
    masks = [np.ones(frame.shape[1:], bool) for frame in frames]
    return estimate_psf(frames, masks, registration or simulation.registration, scale, torch.device("cpu"))


@pytest.mark.parametrize("psf", ["box", "mtf:0.45", "mtf:0.29", "mtf:0.15"])
def test_the_width_is_found(psf):
    found = find(seen(psf))
    assert found.fwhm[0] == found.fwhm[1]
    assert found.fwhm[0] == pytest.approx(fwhm(psf)[0], rel=0.05)
    assert fwhm(found.spec) == (*found.fwhm, found.angle)


def test_the_width_is_found_at_scale_4():
    found = find(seen("mtf:0.29", frames=12, scale=4, size=160), scale=4)
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.07)


def test_a_gaussian_is_found_as_a_box_with_optics_of_its_width():
    found = find(seen("gauss:1.3"))
    assert found.spec.startswith("mtf:")
    assert found.fwhm[0] == pytest.approx(1.3, rel=0.06)


@pytest.mark.parametrize("angle", [30.0, -65.0])
def test_both_axes_and_the_angle_of_an_elongated_psf_are_found(angle):
    psf = f"mtf:0.08,0.45,{angle:g}"
    found = find(seen(psf))
    along, across, _ = fwhm(psf)
    assert found.fwhm == pytest.approx((along, across), rel=0.07)
    assert found.angle == pytest.approx(angle, abs=5)
    assert abs(found.angle - angle) < 3 * found.stderr[2]


def test_a_round_psf_has_no_angle():
    found = find(seen("mtf:0.2"))
    assert found.angle == 0
    assert found.stderr[2] == 0
    assert found.stderr[0] == found.stderr[1]


def test_more_frames_make_the_standard_error_smaller():
    simulation = seen("mtf:0.15", frames=12, snr=25)
    fewer = replace(
        simulation, frames=simulation.frames[:2], motions=simulation.motions[:2], fields=simulation.fields[:2]
    )
    fewer = replace(fewer, gains=simulation.gains[:2])
    assert find(simulation).stderr[0] < find(fewer).stderr[0]


def test_the_error_is_what_the_standard_error_says():
    errors = []
    for seed in range(6):
        found = find(seen("mtf:0.29", size=84, seed=seed))
        errors.append((found.fwhm[0] - fwhm("mtf:0.29")[0]) / found.stderr[0])
    # scenes that differ from one another err by one standard error; these follow the expected spectrum and err by less
    assert np.sqrt(np.mean(np.square(errors))) < 1


def test_the_shifts_may_be_off_by_what_their_covariance_says():
    simulation = seen("mtf:0.29")
    rng = np.random.default_rng(0)
    motions = [
        FrameMotion(translation(shift + 0.01 * rng.standard_normal(2)), covariance=1e-4 * np.eye(2))
        for shift in simulation.motions[1:, :2, 2]
    ]
    found = find(simulation, registration=Registration((FrameMotion(np.eye(3)), *motions)))
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.06)


def test_excluded_frames_and_masked_pixels_do_not_count():
    simulation = seen("mtf:0.29")
    frames = [(frame / simulation.sigma[:, None, None]).astype(np.float32) for frame in simulation.frames]
    masks = [np.ones(frame.shape[1:], bool) for frame in frames]
    frames[2] = np.full_like(frames[2], 1e4)
    masks[1][5:9, 12:20] = False
    frames[1][:, ~masks[1]] = 1e4
    motions = list(simulation.registration.frames)
    motions[2] = replace(motions[2], excluded=True, weight=0.0, reason="cloud")
    found = estimate_psf(frames, masks, Registration(tuple(motions)), 2, torch.device("cpu"))
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.06)


def test_a_part_of_the_frames_is_enough():
    simulation = seen("mtf:0.29")
    frames = [(f / simulation.sigma[:, None, None]).astype(np.float32)[:, 3:, 5:] for f in simulation.frames]
    masks = [np.ones(frame.shape[1:], bool) for frame in frames]
    starts = [(3, 5)] * len(frames)
    found = estimate_psf(frames, masks, simulation.registration, 2, torch.device("cpu"), starts=starts)
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.06)


def test_a_town_gives_its_width_within_two_standard_errors():
    scene = town((132, 132), bands=16, seed=3)
    simulation = simulate(scene.cube, 2, 6, "mtf:0.29", snr=30, seed=1)
    masks = [np.ones(f.shape[1:], bool) for f in simulation.frames]
    subspace = estimate_subspace(list(simulation.frames), masks, simulation.sigma, np.zeros(16, bool))
    frames = [subspace.project(f) for f in simulation.frames]
    found = estimate_psf(frames, masks, simulation.registration, 2, torch.device("cpu"))
    assert abs(found.fwhm[0] - fwhm("mtf:0.29")[0]) < 2 * found.stderr[0]


@pytest.mark.parametrize(("motion", "frames"), [("affine", 4), ("shift", 1)])
def test_frames_that_turn_or_stand_alone_tell_a_width_less_surely(motion, frames):
    simulation = simulate(textures(128, 0), 2, frames, "mtf:0.29", snr=45, motion=motion, max_shift=1.0)
    found = find(simulation)
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.1)
    assert found.stderr[0] > find(seen("mtf:0.29")).stderr[0]


def test_of_many_frames_some_are_enough():
    simulation = seen("mtf:0.29", frames=MOST_FRAMES + 9)
    found = find(simulation)
    assert found.fwhm[0] == pytest.approx(fwhm("mtf:0.29")[0], rel=0.05)


def test_rounds_are_announced_and_may_stop():
    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        if step == 2:
            raise Stop

    simulation = seen("box", frames=2)
    masks = [np.ones(frame.shape[1:], bool) for frame in simulation.frames]
    with pytest.raises(Stop):
        estimate_psf(list(simulation.frames), masks, simulation.registration, 2, torch.device("cpu"), stop)


def test_the_found_psf_can_be_used():
    found = find(seen("mtf:0.08,0.45,30"))
    assert Psf.parse(found.spec).on_grid(np.zeros(1), np.zeros(1)) == pytest.approx([1.0])

"""What a scene model is estimated from: where the motions begin, which PSF is found, and what is told of the frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import ConfigError
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.run import quiet_context, refine
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.registration.psf_width import fwhm
from hsimisr.registration.store import read_registration_file, write_registration

QUICK = ["invert.rounds=0", "uncertainty.method=none", "subspace.residual=false"]


def refined(stack, *sets, **more):
    return refine(stack, PipelineConfig.build(sets=[*QUICK, *sets]), **more)


@pytest.fixture(scope="module")
def stretched(simulation):
    """The true shifts, with a stretch of half a percent that no shift can take away."""
    frames = list(simulation.registration.frames)
    for k in range(1, len(frames)):
        frames[k] = replace(frames[k], matrix=frames[k].matrix @ np.diag([1.005, 0.995, 1.0]), model="affine")
    return Registration(tuple(frames))


@pytest.mark.parametrize("method", ["gauss_newton", "joint"])
def test_motions_begin_where_they_are_told_to(stack, stretched, method):
    """Only shifts are fitted, so what else the start held is still there."""
    knobs = [f"register.method={method}", "register.model=translation"]
    result = refined(stack, *knobs, start=stretched)
    found = result.scene.registration
    assert found.method == method
    for motion, begun in list(zip(found.frames, stretched.frames, strict=True))[1:]:
        assert motion.model == "affine"
        if method == "gauss_newton":
            assert motion.matrix[:2, :2] == pytest.approx(begun.matrix[:2, :2], abs=1e-12)
            assert not np.array_equal(motion.shift, begun.shift)
    assert refined(stack, *knobs).scene.registration.is_shift


def test_where_nothing_is_registered_the_start_is_what_is_used(stack, stretched):
    found = refined(stack, "register.method=none", start=stretched).scene.registration
    for motion, begun in zip(found.frames, stretched.frames, strict=True):
        assert np.array_equal(motion.matrix, begun.matrix)
    aligned = refined(stack, "register.method=none").scene.registration
    assert not aligned.shifts.any()


def test_a_brighter_frame_beside_a_bad_band_can_be_stored(simulation, tmp_path):
    """The mean of a bad band is not known, and its offset is 0, which a file can hold."""
    frames, bad = simulation.frames.copy(), np.zeros(simulation.frames.shape[1], bool)
    bad[3] = True
    frames[2] *= 1.3
    brighter = FrameStack(tuple(Cube.from_array(frame, bad=bad) for frame in frames))
    config = PipelineConfig.build(sets=[*QUICK, "register.method=gauss_newton"])
    scene = estimate_scene(brighter, config, quiet_context("cpu"))
    motion = scene.registration.frames[2]
    assert motion.gain == pytest.approx(1.3, rel=0.01)
    assert motion.offset[3] == 0
    assert np.isfinite(motion.offset).all()
    files = [tmp_path / f"{k}.npy" for k in range(len(brighter))]
    write_registration(tmp_path / "registration.json", scene.registration, files, scene.subspace.sigma, scene.psf)
    read = read_registration_file(tmp_path / "registration.json").frames[2]
    assert read.gain == motion.gain
    assert read.offset == motion.offset.tolist()


def test_a_known_registration_is_used_as_it_is(stack, stretched):
    assert refined(stack, registration=stretched).scene.registration is stretched


def test_the_psf_is_found_from_the_frames(stack):
    """Within its standard error of the one that they were seen with; what was asked for stays in the settings."""
    result = refined(stack, "psf=auto")
    assert result.config.psf == "auto"
    assert result.scene.psf != "auto"
    assert result.scene.psf_stderr is not None
    assert fwhm(result.scene.psf)[0] == pytest.approx(fwhm("mtf:0.29")[0], abs=3 * result.scene.psf_stderr[0])
    assert refined(stack, "psf=box").scene.psf_stderr is None


def modelled(frames, *sets, bad=None, **more):
    stack = FrameStack(tuple(Cube.from_array(frame, bad=bad) for frame in frames))
    config = PipelineConfig.build(sets=[*QUICK, "register.method=gauss_newton", "register.model=translation", *sets])
    return estimate_scene(stack, config, quiet_context("cpu"), **more)


def test_noise_that_is_found_comes_with_standard_errors_and_none_at_bad_bands(simulation):
    bad = np.zeros(simulation.frames.shape[1], bool)
    bad[3] = True
    scene = modelled(simulation.frames, bad=bad)
    assert np.array_equal(np.isnan(scene.noise_stderr), bad)
    pixels = simulation.frames[:, 0].size
    assert (scene.noise_stderr[~bad] > 0.99 * scene.noise[~bad] / np.sqrt(2 * pixels)).all()


def test_fixed_noise_stays_as_it_was_given(simulation):
    sigma = 1.5 * simulation.sigma
    scene = modelled(simulation.frames, f"noise={sigma.tolist()}")
    assert np.array_equal(scene.noise, sigma)
    assert scene.noise_stderr is None
    assert (modelled(simulation.frames, "noise=0.02").noise == 0.02).all()


def test_numbers_of_other_bands_are_refused(simulation):
    with pytest.raises(ConfigError, match="has 2 numbers and the frames have 12 bands"):
        modelled(simulation.frames, "noise=0.1,0.2")


def test_fixed_noise_of_few_bands_is_never_taken_to_be_texture(simulation):
    """Noise found in space may turn out lower in the fit; the same noise, fixed, may not."""
    frames = simulation.frames[:, :2]
    found = modelled(frames)
    high = 2 * found.noise
    assert found.misfit.min() < 1
    fixed = modelled(frames, f"noise={high.tolist()}")
    assert (fixed.misfit >= 1).all()
    assert np.array_equal(fixed.noise, high)


def test_a_noisier_frame_counts_less_beside_fixed_noise(simulation):
    """Its misfit is its noise variance over the fixed one, 1 + 3^2 = 10."""
    frames = simulation.frames.copy()
    extra = 3 * simulation.sigma[:, None, None]
    frames[2] += (extra * np.random.default_rng(5).standard_normal(frames[2].shape)).astype(np.float32)
    scene = modelled(frames, f"noise={simulation.sigma.tolist()}", known=simulation.registration)
    assert np.median(scene.misfit[2]) == pytest.approx(10, rel=0.2)
    assert np.median(np.delete(scene.misfit, 2, axis=0)) < 1.3
    assert scene.noise == pytest.approx(simulation.sigma, rel=0, abs=0)


def test_good_frames_are_judged_good(finished):
    """A residual as large as the noise, in every frame, and nothing to tell."""
    frames = finished.scene.registration.frames
    assert [motion.reason for motion in frames] == [""] * 4
    chi2 = np.array([motion.chi2 for motion in frames])
    assert (chi2 > 0.5).all()
    assert (chi2 < 1.5).all()

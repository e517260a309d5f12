"""The parts of a scene model that only an estimate of the scene can tell: its spectrum, its contrast, what is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsimisr.geometry import View
from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.contrast import whitened_power
from hsimisr.inversion.fitted_prior import fitted_prior
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.misfit import misfit
from hsimisr.inversion.robust import solve_robustly
from hsimisr.physics.config import AUTO
from hsimisr.physics.noise import FEW_BANDS
from hsimisr.physics.observations import Observations
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import Float32, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context

ROUNDS = 4
SETTLED = 1.3
"""Most rounds of fitting prior and noise in turns, and the largest factor by which the noise may still change."""
ROUGH_STEPS = 12
"""Conjugate-gradient steps after which means over the scene are known well enough."""
GLANCE_STEPS = 6
"""Steps after which a picture is worth seeing."""
LOWEST_MISFIT = 0.05
"""Noise judged in space may be texture, up to this part of its variance."""


def rough_image(frames: FrameWindow, scene: SceneModel, sample: View, context: Context) -> Float32:
    """Eigen-images ``(r, H, W)`` of the sample, soon."""
    observations = observe(frames, scene, sample, context.device)
    found = lmmse.solve(observations, scene.prior, LmmseConfig(iterations=GLANCE_STEPS), lambda _: context.check())
    return lmmse.view_image(observations.canvas, found.spectrum)


def fit_prior_and_noise(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context
) -> tuple[SceneModel, lmmse.Solution]:
    """Fit the prior to the estimate itself and the noise to what the estimate leaves unexplained.

    The noise of the bands stays as it is. What is fitted is how much more each eigen-image of each frame varies than
    that: a wrong PSF or motion, haze, or a frame that is noisier than the others. Noise that was judged in space, and
    may be texture, may turn out lower; noise that was fixed, or measured well, never does.
    One round does where the frames are no noisier than their noise; else noise and prior are fitted in turns.
    Returns the last solution of the sample too.
    """
    settings = config.lmmse
    reliable = config.noise != AUTO or (~scene.subspace.bad).sum() >= FEW_BANDS
    lowest = 1.0 if reliable else LOWEST_MISFIT
    for _ in range(ROUNDS):
        plain = observe(frames, scene, sample, context.device)
        noise = plain.variance.cpu().numpy()
        observations = _inflated(plain, scene, settings)
        found = solve_robustly(observations, scene.prior, settings, lambda _: context.check())
        image = lmmse.view_image(observations.canvas, found.spectrum)
        if settings.prior == "fitted":
            scene = replace(scene, prior=fitted_prior(image, found.equations.closed_form, scene.prior))
        known = observations.variance.cpu().numpy() - noise  # what the registration leaves open is noise already
        now = np.maximum(misfit(found, lowest) - known, lowest)
        everyone = np.ones((len(scene.registration.frames), scene.subspace.rank))
        everyone[list(scene.registration.included)] = now
        scene = replace(scene, misfit=everyone)
        if np.abs(np.log(now / noise)).max() < np.log(SETTLED):
            break
    return scene, found


def with_contrast_levels(
    frames: FrameWindow,
    scene: SceneModel,
    sample: View,
    config: PipelineConfig,
    context: Context,
    found: lmmse.Solution,
) -> SceneModel:
    """Measure what local contrast is relative to, so that views and tiles agree; a rough solution tells it.

    Args:
        found: solution that the scene was fitted to; it begins the rough one and tells which pixels to trust.
    """
    if config.lmmse.rounds == 0:
        return scene
    rough = config.lmmse.model_copy(update={"iterations": ROUGH_STEPS})
    observations = _inflated(observe(frames, scene, sample, context.device), scene, rough)
    trusted = replace(observations, weight=found.equations.observations.weight)
    again = lmmse.solve(trusted, scene.prior, rough, lambda _: context.check(), found.spectrum)
    but_one = rough.model_copy(update={"rounds": rough.rounds - 1})  # the last level is told before its round
    last = lmmse.follow_contrast(again, but_one, (), lambda _: context.check())
    canvas = trusted.canvas
    power = whitened_power(canvas, again.equations.precision, last.spectrum)
    return replace(scene, contrast_levels=(*last.levels, float(power[canvas.view_slices].mean())))


def _inflated(observations: Observations, scene: SceneModel, config: LmmseConfig) -> Observations:
    if not config.inflate:
        return observations
    return lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))

"""The motions of a registered stack refined together with the image, by the simplest model that explains the frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.geometry import View
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.lmmse import Solution
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.types import PowerSpectrum, Registration, SceneModel
from hsimisr.registration.bounds import unknown_scene_bound
from hsimisr.registration.choose import explains_more, fold
from hsimisr.registration.config import JointConfig, Model
from hsimisr.registration.gauss_newton import Comparison
from hsimisr.registration.joint import SOLVER, JointMotion, refine_motions
from hsimisr.registration.register import basis_of, richer_models, with_field
from hsimisr.registration.uncertainty import position_covariance

Float64 = npt.NDArray[np.float64]
CHANNELS = 3
"""Eigen-images that take part: the strongest carry the motion, the rest only cost time."""

SETTLED, NEGLIGIBLE = 0.5, 2e-4
"""The iteration ends at a step of this part of the least possible standard error, or of so many LR pixels."""
MOST_FREE = 8
"""Parameters of a frame that count as free there: a local field has many more, held together by its smoothness."""
OVERCONFIDENT = {2: 1.3, 3: 1.2, 4: 8.0}
"""How many times larger than claimed the squared error of shifts is, in the median, by scale: scenes are no Gaussian
fields of one spectrum, and the more aliases a frequency has the more rests on that. Measured on 14 real scenes and two
seeds (`benchmarks/registration.py`); beyond scale 4 the last is taken."""


def strongest(window: FrameWindow, scene: SceneModel) -> tuple[FrameWindow, SceneModel]:
    """The eigen-images that carry the motion, and the scene as they alone show it."""
    subspace, prior, misfit = scene.subspace, scene.prior, scene.misfit
    few = replace(
        scene,
        subspace=replace(subspace, vectors=subspace.vectors[:, :CHANNELS], eigenvalues=subspace.eigenvalues[:CHANNELS]),
        prior=PowerSpectrum(prior.frequency, prior.power[:CHANNELS]),
        misfit=None if misfit is None else misfit[:, :CHANNELS],
    )
    return replace(window, frames=[images[:CHANNELS] for images in window.frames]), few


def refine_jointly(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    config: JointConfig,
    device: torch.device,
    whole: bool = True,
    on_step: Callable[[int], None] | None = None,
    found: Solution | None = None,
) -> Registration:
    """Motions of maximum marginal likelihood, the HR image integrated out; excluded frames stay out.

    Args:
        window: eigen-images of the view; the `strongest` are enough.
        scene: with motions within about 0.1 LR pixels, prior and noise.
        whole: whether the view is the whole reference; a local field is found nowhere else.
        on_step: called before each step; may raise to stop.
        found: image of the view under these motions, to begin from.
    """
    start = scene.registration
    if len(start.included) < 2:
        return start
    model = _model_of(start)
    if model == "local" and not whole:  # a field that is known stays, and the frame moves with it
        model = "affine"
    untried = [richer for richer in richer_models(model, config.model) if whole or richer != "local"]
    bound = unknown_scene_bound(scene, view.shape)
    joint, scene = _refined(window, scene, view, model, config, bound, device, on_step, found)
    while (richer := _next_model(untried, joint, scene)) is not None:
        model, untried = richer, untried[untried.index(richer) + 1 :]
        joint, scene = _refined(window, scene, view, model, config, bound, device, on_step)
    return _with_error_bars(joint, scene, model, bound)


def _refined(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    model: Model,
    config: JointConfig,
    bound: Float64,
    device: torch.device,
    on_step: Callable[[int], None] | None,
    start: Solution | None = None,
) -> tuple[JointMotion, SceneModel]:
    """Refinement under one model, and the scene with the motions that it found."""
    registration = scene.registration
    motions = list(registration.frames)
    if model == "local":
        motions = [m if k == registration.reference else with_field(m, view.shape) for k, m in enumerate(motions)]
        scene = replace(scene, registration=replace(registration, frames=tuple(motions)))
    observations = observe(window, scene, view, device)
    basis = basis_of(model, observations.canvas.shape, device)
    used = registration.included
    found = refine_motions(
        observations,
        scene.prior,
        tuple(motions[k] for k in used),
        basis,
        used.index(registration.reference),
        config.steps,
        max(NEGLIGIBLE, SETTLED * _least_error(bound[list(used)], min(basis.count, MOST_FREE))),
        on_step,
        start,
    )
    for k, motion in zip(used, found.motions, strict=True):
        motions[k] = motion
    return found, replace(scene, registration=Registration(tuple(motions), registration.reference, "joint"))


def _least_error(bound: Float64, parameters: int) -> float:
    """Root mean square displacement, LR pixels, by which motions of so many parameters must be wrong: Cramer-Rao.

    As if detail were spread evenly: each parameter adds what one component of a shift does.
    """
    of_shift = bound.trace(axis1=1, axis2=2)
    return float(np.sqrt(np.median(of_shift[of_shift > 0]) * parameters / 2))


def _with_error_bars(found: JointMotion, scene: SceneModel, model: Model, bound: Float64) -> Registration:
    """The registration with covariances that claim no more than the Cramer-Rao bound allows."""
    registration = scene.registration
    used, reference = registration.included, registration.reference
    basis = basis_of(model, found.equations.observations.canvas.shape, found.image.device)
    covariance = position_covariance(found.equations, found.image, basis, used.index(reference))
    factor = OVERCONFIDENT.get(min(scene.scale, max(OVERCONFIDENT)), 1.0)
    motions = list(registration.frames)
    for k, claimed in zip(used, covariance, strict=True):
        if k != reference:
            share = float(np.trace(bound[k]) / np.trace(claimed))
            motions[k] = replace(motions[k], covariance=claimed * max(1.0, share) * factor)
    return replace(registration, frames=tuple(motions))


def _model_of(registration: Registration) -> Model:
    """The richest model among the frames."""
    models = {registration.frames[k].model for k in registration.included}
    return next((cast(Model, m) for m in ("local", "homography", "affine") if m in models), "translation")


def _next_model(models: Sequence[Model], found: JointMotion, scene: SceneModel) -> Model | None:
    """The first of these models that is favoured by pixels which neither the image nor the motions have seen.

    Each frame hides another quarter of its blocks, so that the other frames still show what is there.
    """
    if not models:
        return None
    o, contrast = found.equations.observations, found.equations.contrast
    assert contrast is not None
    held = [fold(o.canvas.shape, k) for k in range(len(o.data))]
    hidden = replace(o, weight=o.weight * ~torch.stack(held)[:, None].to(o.weight.device))
    equations = NormalEquations.build(hidden, scene.prior).with_contrast(contrast)
    image, _ = conjugate_gradients(equations, SOLVER.iterations, SOLVER.tolerance, found.image)
    error = (o.data - o.operator.forward(image)).double().cpu()
    slopes, weight = o.operator.derivative(image).double().cpu(), o.precision.double().cpu()
    used, reference = scene.registration.included, scene.registration.reference
    others = [place for place, k in enumerate(used) if k != reference]
    comparisons = [Comparison(error[k], slopes[k], weight[k]) for k in others]
    folds, cpu = [held[k] for k in others], torch.device("cpu")
    return next((m for m in models if explains_more(comparisons, basis_of(m, o.canvas.shape, cpu), folds)), None)

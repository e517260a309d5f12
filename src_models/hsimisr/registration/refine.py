"""The motions of a registered stack refined together with the image, by the simplest model that explains the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from hsimisr.geometry import View
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.observations import Observations
from hsimisr.physics.types import PowerSpectrum, Registration, SceneModel
from hsimisr.registration.bounds import unknown_scene_bound
from hsimisr.registration.choose import explains_more, fold
from hsimisr.registration.config import JointConfig, Model
from hsimisr.registration.gauss_newton import Comparison
from hsimisr.registration.joint import START, JointMotion, refine_motions
from hsimisr.registration.register import basis_of, richer_models, with_field
from hsimisr.registration.uncertainty import position_covariance

CHANNELS = 3
"""Eigen-images that take part: the strongest carry the motion, the rest only cost time."""


def refine_jointly(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    config: JointConfig,
    device: torch.device,
    whole: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> Registration:
    """Motions of maximum marginal likelihood, the HR image integrated out; excluded frames stay out.

    Args:
        window: eigen-images of the view.
        scene: with motions within about 0.1 LR pixels, prior and noise.
        whole: whether the view is the whole reference; a local field is found nowhere else.
        on_step: called before each step; may raise to stop.
    """
    start = scene.registration
    if len(start.included) < 2:
        return start
    model = _model_of(start)
    if model == "local" and not whole:  # a field that is known stays, and the frame moves with it
        model = "affine"
    found, scene = _refined(window, scene, view, model, config, device, on_step)
    for richer in richer_models(model, config.model):
        if (whole or richer != "local") and _worth(found, richer, _strongest_prior(scene), start):
            model = richer
            found, scene = _refined(window, scene, view, model, config, device, on_step)
    return _with_error_bars(found, scene, view, model)


def _refined(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    model: Model,
    config: JointConfig,
    device: torch.device,
    on_step: Callable[[int], None] | None,
) -> tuple[JointMotion, SceneModel]:
    """Refinement under one model, and the scene with the motions that it found."""
    start = scene.registration
    motions = list(start.frames)
    if model == "local":
        motions = [m if k == start.reference else with_field(m, view.shape) for k, m in enumerate(motions)]
        scene = replace(scene, registration=replace(start, frames=tuple(motions)))
    observations = _strongest(observe(window, scene, view, device))
    basis = basis_of(model, observations.canvas.shape, device)
    used = start.included
    found = refine_motions(
        observations,
        _strongest_prior(scene),
        tuple(motions[k] for k in used),
        basis,
        used.index(start.reference),
        config.steps,
        on_step,
    )
    for k, motion in zip(used, found.motions, strict=True):
        motions[k] = motion
    return found, replace(scene, registration=Registration(tuple(motions), start.reference, "joint"))


def _with_error_bars(found: JointMotion, scene: SceneModel, view: View, model: Model) -> Registration:
    """The registration with covariances that claim no more than the Cramer-Rao bound allows."""
    registration = scene.registration
    used, reference = registration.included, registration.reference
    basis = basis_of(model, found.equations.observations.canvas.shape, found.image.device)
    covariance = position_covariance(found.equations, found.image, basis, used.index(reference))
    bound = unknown_scene_bound(_strongest_scene(scene), view.shape)
    motions = list(registration.frames)
    for k, claimed in zip(used, covariance, strict=True):
        if k != reference:
            share = float(np.trace(bound[k]) / np.trace(claimed))
            motions[k] = replace(motions[k], covariance=claimed * max(1.0, share))
    return replace(registration, frames=tuple(motions))


def _strongest_scene(scene: SceneModel) -> SceneModel:
    """The scene as the eigen-images that take part show it."""
    misfit = None if scene.misfit is None else scene.misfit[:, :CHANNELS]
    subspace = scene.subspace
    kept = replace(subspace, vectors=subspace.vectors[:, :CHANNELS], eigenvalues=subspace.eigenvalues[:CHANNELS])
    return replace(scene, prior=_strongest_prior(scene), misfit=misfit, subspace=kept)


def _model_of(registration: Registration) -> Model:
    """The richest model among the frames."""
    models = {registration.frames[k].model for k in registration.included}
    return next((cast(Model, m) for m in ("local", "homography", "affine") if m in models), "translation")


def _worth(found: JointMotion, model: Model, prior: PowerSpectrum, start: Registration) -> bool:
    """Whether pixels that neither the image nor the motions have seen favour a richer model.

    Each frame hides another quarter of its blocks, so that the other frames still show what is there.
    """
    o, contrast = found.equations.observations, found.equations.contrast
    assert contrast is not None
    held = [fold(o.canvas.shape, k) for k in range(len(o.data))]
    hidden = replace(o, weight=o.weight * ~torch.stack(held)[:, None].to(o.weight.device))
    equations = NormalEquations.build(hidden, prior).with_contrast(contrast)
    image, _ = conjugate_gradients(equations, START.iterations, START.tolerance, found.image)
    error = (o.data - o.operator.forward(image)).double().cpu()
    slopes, weight = o.operator.derivative(image).double().cpu(), o.precision.double().cpu()
    others = [place for place, k in enumerate(start.included) if k != start.reference]
    comparisons = [Comparison(error[k], slopes[k], weight[k]) for k in others]
    basis = basis_of(model, o.canvas.shape, torch.device("cpu"))
    return explains_more(comparisons, basis, [held[k] for k in others])


def _strongest_prior(scene: SceneModel) -> PowerSpectrum:
    return PowerSpectrum(scene.prior.frequency, scene.prior.power[:CHANNELS])


def _strongest(observations: Observations) -> Observations:
    data, variance = observations.data[:, :CHANNELS], observations.variance[:, :CHANNELS]
    return replace(observations, data=data.contiguous(), variance=variance.contiguous())

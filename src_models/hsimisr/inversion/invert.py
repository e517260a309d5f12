"""From the frames of one window to eigen-images on the HR grid, by the method that the config names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.geometry import MARGIN, Grid, View
from hsimisr.inversion import baselines, lmmse
from hsimisr.inversion.config import (
    BackProjectionConfig,
    BicubicConfig,
    DrizzleConfig,
    InvertConfig,
    LmmseConfig,
    MeanConfig,
    TotalVariationConfig,
)
from hsimisr.inversion.iterative import back_project, total_variation
from hsimisr.inversion.robust import solve_robustly
from hsimisr.inversion.variance import Posterior, posterior_of
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations, lay_out
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, SceneModel, Subspace

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
OnStep = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class FrameWindow:
    """Eigen-images ``(r, h_k, w_k)`` of a part of every frame, masks, and the frame pixel where each part begins."""

    frames: list[Float32]
    masks: list[Mask]
    starts: list[tuple[int, int]]


def observe(window: FrameWindow, scene: SceneModel, view: View, device: torch.device) -> Observations:
    """Lay the frames of a window out on the canvas of a view."""
    canvas = Canvas.around(view, MARGIN, scene.scale)
    offsets = [eigen_offset(scene.subspace, motion) for motion in scene.registration.frames]
    observations = lay_out(
        window.frames, window.masks, scene.registration, canvas, Psf.parse(scene.psf), device, window.starts, offsets
    )
    if scene.misfit is None:
        return observations
    variance = torch.from_numpy(scene.misfit[list(scene.registration.included)].astype(np.float32))
    return replace(observations, variance=variance.to(device))


def invert(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    config: InvertConfig,
    device: torch.device,
    with_variance: bool = True,
    on_step: OnStep | None = None,
) -> tuple[Float32, Posterior | None]:
    """Mean ``(r, H, W)`` of the view's eigen-images and what is left open of them; baselines don't know that.

    Args:
        on_step: called before each iteration; may raise to stop.
    """
    grid = Grid.of_view(view, scene.scale)
    registration = scene.registration
    offsets = [eigen_offset(scene.subspace, motion) for motion in registration.frames]
    levelled = [f - o[:, None, None].astype(np.float32) for f, o in zip(window.frames, offsets, strict=True)]
    match config:
        case BicubicConfig():
            k = registration.reference
            return baselines.bicubic(window.frames[k], window.starts[k], grid), None
        case MeanConfig():
            return baselines.registered_mean(levelled, window.masks, window.starts, registration, grid), None
        case DrizzleConfig():
            return (
                baselines.drizzle(levelled, window.masks, window.starts, registration, grid, config.drop),
                None,
            )
    if isinstance(config, LmmseConfig):
        found = solve_view(window, scene, view, config, device, on_step)
        used = found.equations.observations
        return lmmse.view_image(used.canvas, found.spectrum), posterior(found, scene) if with_variance else None
    observations = observe(window, scene, view, device)
    canvas = observations.canvas
    margin_grid = Grid(grid.scale, canvas.origin, canvas.hr_shape)
    first = baselines.registered_mean(levelled, window.masks, window.starts, registration, margin_grid)
    start = canvas.to_spectrum(torch.from_numpy(first).to(device))
    match config:
        case BackProjectionConfig():
            spectrum = back_project(observations, start, config.iterations, on_step)
        case TotalVariationConfig():
            spectrum = total_variation(observations, start, config.strength, config.iterations, on_step)
    return lmmse.view_image(canvas, spectrum), None


def solve_view(
    window: FrameWindow,
    scene: SceneModel,
    view: View,
    config: LmmseConfig,
    device: torch.device,
    on_step: OnStep | None = None,
) -> lmmse.Solution:
    """The LMMSE of a view under everything that the scene model says."""
    observations = observe(window, scene, view, device)
    if config.inflate:
        observations = lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))
    found = solve_robustly(observations, scene.prior, config, on_step)
    return lmmse.follow_contrast(found, config, scene.contrast_levels, on_step)


def posterior(found: lmmse.Solution, scene: SceneModel) -> Posterior:
    """What a solution leaves open of its view, error bars calibrated; detail counts as it does in the bands."""
    power = (scene.subspace.basis.astype(float) ** 2).sum(0)
    left = posterior_of(found.equations.observations, scene.prior, Psf.parse(scene.psf), power, found.contrast)
    if scene.bar_scale is None:
        return left
    return replace(left, variance=left.variance * (scene.bar_scale[:, None, None] ** 2).astype(np.float32))


def eigen_offset(subspace: Subspace, motion: FrameMotion) -> npt.NDArray[np.float64]:
    """A frame's offset as eigen-images see it ``(r,)``, noise units; the mean spectrum scales with the gain."""
    good = ~subspace.bad
    offset = np.zeros(int(good.sum())) if motion.offset is None else motion.offset[good]
    offset = offset + (motion.gain - 1.0) * subspace.mean[good]
    return np.asarray((subspace.vectors[good] / subspace.sigma[good, None]).T @ offset, dtype=float)

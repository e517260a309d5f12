"""The scene model: noise, subspace, motion and prior of a stack, estimated once and shared by every view and tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsimisr.cube import FrameStack
from hsimisr.errors import StackError
from hsimisr.geometry import View, translation
from hsimisr.inversion import lmmse
from hsimisr.inversion.fitted_prior import fitted_prior
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.misfit import misfit
from hsimisr.inversion.prior import fit_power_law
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.noise import FEW_BANDS, estimate_noise, measured
from hsimisr.physics.psf import Psf
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import Float32, Registration, SceneModel
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory
from hsimisr.pipeline.frames import Window, read_window, silent_bands
from hsimisr.pipeline.memory import tile_side
from hsimisr.registration.config import JointConfig, NoRegistrationConfig
from hsimisr.registration.register import identity, refine_jointly, register_pairs

SAMPLE = 192
AROUND_VIEW = 96
"""Side in LR pixels of the part of a large stack that the scene model is estimated from, and of the part around a
view where only that is asked for."""
LEAST_PIXELS = 16
ROUNDS = 4
SETTLED = 1.3
"""Most rounds of fitting prior and noise in turns, and the largest factor by which the noise may still change."""
ROUGH_STEPS = 12
"""Conjugate-gradient steps after which means over the scene are known well enough."""
LOWEST_MISFIT = 0.05
"""Noise judged in space may be texture, up to this part of its variance."""

OnFirst = Callable[[SceneModel, Float32, View], None]


def estimate_scene(
    stack: FrameStack,
    config: PipelineConfig,
    context: Context,
    view: View | None = None,
    known: Registration | None = None,
    on_first: OnFirst | None = None,
) -> SceneModel:
    """Estimate everything that a reconstruction needs to know.

    Args:
        view: what the user looks at; a large stack is sampled around it, and the model is provisional then.
        known: a registration to use as it is.
        on_first: given the model, eigen-images ``(r, H, W)`` and the view they show, as soon as there are any.

    Raises:
        StackError: frames too small, or no valid data.
    """
    shape = stack.reference_frame.shape_yx
    if min(shape) < LEAST_PIXELS:
        raise StackError(
            f"{stack.reference_frame.name} is {shape[0]} x {shape[1]} pixels; "
            f"at least {LEAST_PIXELS} x {LEAST_PIXELS} are needed to estimate noise and motion"
        )
    free = free_memory(context.device)
    room = tile_side(View.whole(shape), len(stack), stack.bands, MAX_RANK, config.scale, free)
    sample, provisional = _sample(shape, view, room)
    context.progress("scene", 0, 4, "reading the frames")
    window = _read_sample(stack, sample, known)
    context.progress("scene", 1, 4, "noise and subspace")
    sigma = estimate_noise(window.cubes, window.masks)
    subspace = estimate_subspace(window.cubes, window.masks, sigma, window.bad, config.subspace.rank)
    frames = FrameWindow(window.project(subspace), window.masks, window.starts)
    context.progress("scene", 2, 4, "registration")
    registration = known or _start_motion(frames, stack.reference, config, context)
    psf = Psf.parse(config.psf)
    law = fit_power_law([frames.frames[k] for k in registration.included], psf, config.scale)
    scene = SceneModel(registration, config.psf, subspace, law, config.scale, provisional)
    context.progress("scene", 3, 4, "power spectrum")
    scene, image = _fitted(frames, scene, sample, config, context)
    if on_first is not None:
        on_first(scene, image, sample)
    if known is None and isinstance(config.register_, JointConfig):
        local = _shifted(scene.registration, window.starts, -1)
        joint = refine_jointly(
            frames.frames,
            frames.masks,
            local,
            scene.prior,
            scene.misfit if scene.misfit is not None else np.ones((len(stack), subspace.rank)),
            psf,
            config.scale,
            config.register_,
            context.device,
            lambda step: context.progress("register", step, _joint_steps(config), "image and shifts together"),
        )
        scene = replace(scene, registration=_shifted(joint, window.starts, 1))
        scene, _ = _fitted(frames, scene, sample, config, context)
    scene = _with_contrast_levels(frames, scene, sample, config, context)
    context.progress("scene", 4, 4, "done")
    return scene


def _sample(shape: tuple[int, int], view: View | None, room: int) -> tuple[View, bool]:
    """The part of the reference to estimate from, and whether it is only the surroundings of a view.

    Args:
        room: the largest side that fits into memory, LR pixels.
    """
    largest = min(SAMPLE, room) if view is None else min(max(AROUND_VIEW, *view.shape), SAMPLE, room)
    if max(shape) <= largest:
        return View.whole(shape), False
    centre = [(n - 1) / 2 for n in shape]
    if view is not None:
        centre = [o + (n - 1) / 2 for o, n in zip(view.origin, view.shape, strict=True)]
    sizes = [min(n, largest) for n in shape]
    y0, x0 = (int(np.clip(c - size / 2, 0, n - size)) for c, size, n in zip(centre, sizes, shape, strict=True))
    return View(y0, y0 + sizes[0], x0, x0 + sizes[1]), view is not None


def _read_sample(stack: FrameStack, sample: View, known: Registration | None) -> Window:
    """The sample of every frame; bands that hold nothing are bad, whoever flagged them."""
    window = read_window(stack, stack.bad, sample, 0, known)
    if not all(mask.any() for mask in window.masks):
        window = read_window(stack, silent_bands(stack, sample), sample, 0, known)
    if not window.masks[stack.reference].any():
        raise StackError(
            f"{stack.reference_frame.name} holds no valid pixel in {sample}; choose another view or reference"
        )
    bad = window.bad if window.bad.all() else _with_dead_bands(window)
    if bad.all():
        raise StackError("every band is bad or constant; there is nothing to refine")
    return window if (bad == window.bad).all() else read_window(stack, bad, sample, 0, known)


def _with_dead_bands(window: Window) -> npt.NDArray[np.bool_]:
    """Add to the bad bands those that are constant in every frame: they carry no signal and would break whitening."""
    seen = [measured(cube, mask) for cube, mask in zip(window.cubes, window.masks, strict=True) if mask.any()]
    dead = np.logical_and.reduce([np.ptp(pixels, axis=1) == 0 for pixels in seen])
    out = window.bad.copy()
    out[np.flatnonzero(~out)[dead]] = True
    return out


def _start_motion(frames: FrameWindow, reference: int, config: PipelineConfig, context: Context) -> Registration:
    method = config.register_
    if isinstance(method, NoRegistrationConfig):
        return identity(len(frames.frames), reference)
    found = register_pairs(frames.frames, frames.masks, reference, method, lambda _: context.check())
    return _shifted(found, frames.starts, 1)


def _shifted(registration: Registration, starts: list[tuple[int, int]], sign: int) -> Registration:
    """Take motions between windows that begin at `starts` to whole-frame coordinates (sign 1) or back (-1)."""
    origin = np.asarray(starts[registration.reference])
    if not any((np.asarray(start) != origin).any() for start in starts):
        return registration  # translations do not change when all windows begin at the same pixel
    motions = [
        replace(motion, matrix=translation(motion.shift + sign * (np.asarray(start) - origin)))
        for motion, start in zip(registration.frames, starts, strict=True)
    ]
    return replace(registration, frames=tuple(motions))


def _fitted(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context
) -> tuple[SceneModel, Float32]:
    """Fit the prior to the estimate itself and the noise to what the estimate leaves unexplained.

    One round does where the frames are no noisier than their noise; else noise and prior are fitted in turns.
    Returns the last estimate's eigen-images ``(r, H, W)`` of the sample too.
    """
    settings = config.lmmse
    lowest = 1.0 if (~scene.subspace.bad).sum() >= FEW_BANDS else LOWEST_MISFIT
    for _ in range(ROUNDS):
        observations = observe(frames, scene, sample, context.device)
        noise = observations.variance.cpu().numpy()
        if settings.inflate:
            observations = lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))
        found = lmmse.solve(observations, scene.prior, settings, lambda _: context.check())
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
    return scene, image


def _with_contrast_levels(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context
) -> SceneModel:
    """Measure what local contrast is relative to, so that views and tiles agree; a rough solution tells it."""
    if config.lmmse.rounds == 0:
        return scene
    rough = config.lmmse.model_copy(update={"iterations": ROUGH_STEPS})
    observations = observe(frames, scene, sample, context.device)
    if rough.inflate:
        observations = lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))
    found = lmmse.solve(observations, scene.prior, rough, lambda _: context.check())
    return replace(scene, contrast_levels=lmmse.follow_contrast(found, rough, (), lambda _: context.check()).levels)


def _joint_steps(config: PipelineConfig) -> int:
    assert isinstance(config.register_, JointConfig)
    return config.register_.steps

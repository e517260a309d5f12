"""The scene model: noise, subspace, motion and prior of a stack, estimated once and shared by every view and tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsimisr.cube import FrameStack
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.inversion import lmmse
from hsimisr.inversion.fitted_prior import fitted_prior
from hsimisr.inversion.invert import FrameWindow, eigen_offset, observe
from hsimisr.inversion.misfit import misfit
from hsimisr.inversion.prior import fit_power_law
from hsimisr.inversion.robust import solve_robustly
from hsimisr.physics.config import AUTO, MAX_RANK
from hsimisr.physics.noise import FEW_BANDS, estimate_noise, measured
from hsimisr.physics.psf import Psf
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import Float32, Registration, SceneModel, Subspace
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory
from hsimisr.pipeline.frames import Window, read_window, silent_bands
from hsimisr.pipeline.memory import tile_side
from hsimisr.registration.config import JointConfig, NoRegistrationConfig
from hsimisr.registration.psf_estimate import FoundPsf, estimate_psf
from hsimisr.registration.refine import refine_jointly
from hsimisr.registration.register import identity, register_pairs
from hsimisr.registration.triage import judged

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
    start: Registration | None = None,
) -> SceneModel:
    """Estimate everything that a reconstruction needs to know.

    Args:
        view: what the user looks at; a large stack is sampled around it, and the model is provisional then.
        known: a registration to use as it is.
        start: a registration to begin from.
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
    for given in (known, start):
        if given is not None and (len(given.frames), given.reference) != (len(stack), stack.reference):
            raise StackError(
                f"the motions given are of {len(given.frames)} frames with frame {given.reference} as reference, the "
                f"stack has {len(stack)} with frame {stack.reference}; register these frames anew"
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
    whole = sample == View.whole(shape)
    registration = known or _start_motion(frames, subspace, stack.reference, config, context, start, whole)
    psf, psf_stderr = config.psf, None
    if psf == AUTO:
        found_psf = _find_psf(frames, subspace, registration, config, context)
        psf, psf_stderr = found_psf.spec, found_psf.stderr
    law = fit_power_law([frames.frames[k] for k in registration.included], Psf.parse(psf), config.scale)
    scene = SceneModel(registration, psf, subspace, law, config.scale, provisional, psf_stderr=psf_stderr)
    context.progress("scene", 3, 4, "power spectrum")
    scene, found = _fitted(frames, scene, sample, config, context)
    if on_first is not None:
        on_first(scene, lmmse.view_image(found.equations.observations.canvas, found.spectrum), sample)
    if known is None and isinstance(config.register_, JointConfig):
        method = config.register_
        joint = refine_jointly(
            frames,
            scene,
            sample,
            method,
            context.device,
            whole,
            lambda step: context.progress("register", step, method.steps, "image and motions together"),
        )
        scene = replace(scene, registration=joint)
        scene, found = _fitted(frames, scene, sample, config, context)
    if known is None:
        scene = replace(scene, registration=judged(scene.registration, found, frames, window.cubes))
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


def _start_motion(
    frames: FrameWindow,
    subspace: Subspace,
    reference: int,
    config: PipelineConfig,
    context: Context,
    start: Registration | None,
    whole: bool,
) -> Registration:
    method = config.register_
    if isinstance(method, NoRegistrationConfig):
        return start or identity(len(frames.frames), reference)
    found = register_pairs(frames, reference, method, start, whole, lambda _: context.check())
    levelled = [
        replace(motion, offset=_data_offset(subspace, motion.gain, offset)) if offset.any() else motion
        for motion, offset in zip(found.registration.frames, found.offsets, strict=True)
    ]
    return replace(found.registration, frames=tuple(levelled))


def _find_psf(
    frames: FrameWindow, subspace: Subspace, registration: Registration, config: PipelineConfig, context: Context
) -> FoundPsf:
    offsets = [eigen_offset(subspace, motion) for motion in registration.frames]
    return estimate_psf(
        frames.frames,
        frames.masks,
        registration,
        config.scale,
        context.device,
        lambda _: context.check(),
        frames.starts,
        offsets,
    )


def _data_offset(subspace: Subspace, gain: float, offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Offset per band ``(B,)``, data units, of eigen-images' offsets ``(r,)``, noise units; 0 at bad bands."""
    return np.nan_to_num(subspace.sigma * (subspace.vectors @ offset) - (gain - 1.0) * subspace.mean)


def _fitted(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context
) -> tuple[SceneModel, lmmse.Solution]:
    """Fit the prior to the estimate itself and the noise to what the estimate leaves unexplained.

    One round does where the frames are no noisier than their noise; else noise and prior are fitted in turns.
    Returns the last solution of the sample too.
    """
    settings = config.lmmse
    lowest = 1.0 if (~scene.subspace.bad).sum() >= FEW_BANDS else LOWEST_MISFIT
    for _ in range(ROUNDS):
        observations = observe(frames, scene, sample, context.device)
        noise = observations.variance.cpu().numpy()
        if settings.inflate:
            observations = lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))
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
    found = solve_robustly(observations, scene.prior, rough, lambda _: context.check())
    return replace(scene, contrast_levels=lmmse.follow_contrast(found, rough, (), lambda _: context.check()).levels)

"""The scene model: noise, subspace, motion and prior of a stack, estimated once and shared by every view and tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from hsimisr.cube import FrameStack
from hsimisr.errors import StackError
from hsimisr.geometry import View
from hsimisr.inversion import lmmse
from hsimisr.inversion.invert import FrameWindow, eigen_offset
from hsimisr.inversion.prior import fit_power_law
from hsimisr.physics.config import AUTO, MAX_RANK
from hsimisr.physics.noise import find_noise, fixed_noise
from hsimisr.physics.psf import Psf
from hsimisr.physics.subspace import estimate_subspace
from hsimisr.physics.types import Float32, Float64, Registration, SceneModel, Subspace
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.device import free_memory
from hsimisr.pipeline.fit import fit_prior_and_noise, rough_image, with_contrast_levels
from hsimisr.pipeline.frames import Window
from hsimisr.pipeline.memory import WARPS_OF_SCENE, tile_side
from hsimisr.pipeline.sample import choose_sample, read_sample
from hsimisr.registration.config import GaussNewtonConfig, JointConfig, NoRegistrationConfig
from hsimisr.registration.psf_estimate import FoundPsf, estimate_psf
from hsimisr.registration.refine import refine_jointly, strongest
from hsimisr.registration.register import PairRegistration, identity, register_pairs
from hsimisr.registration.triage import judged, without_strangers

LEAST_PIXELS = 16
MOTION_TOLERANCE = 3e-4
"""How well images are solved for to whose spectrum the motions are refined; at ten times that, motions at x4 are found
two to four times less well."""

OnImage = Callable[[SceneModel, Float32, View], None]
"""Given a scene model, eigen-images ``(r, H, W)``, and the view that they show."""


def estimate_scene(
    stack: FrameStack,
    config: PipelineConfig,
    context: Context,
    view: View | None = None,
    known: Registration | None = None,
    on_first: OnImage | None = None,
    start: Registration | None = None,
    on_fitted: OnImage | None = None,
) -> SceneModel:
    """Estimate everything that a reconstruction needs to know.

    Args:
        view: what the user looks at; a large stack is sampled around it, and the model is provisional then.
        known: a registration to use as it is.
        start: a registration to begin from.
        on_first: given the first picture, as soon as there is any.
        on_fitted: given the picture that the model was fitted to in the end.

    Raises:
        StackError: frames too small, or no valid data.
        ConfigError: a setting does not fit the frames, such as fixed noise of other bands.
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
    room = tile_side(View.whole(shape), len(stack), stack.bands, MAX_RANK, config.scale, free, warps=WARPS_OF_SCENE)
    sample, provisional = choose_sample(shape, view, room)
    context.progress("scene", 0, 4, "reading the frames")
    window = read_sample(stack, sample, known)
    context.progress("scene", 1, 4, "noise and subspace")
    sigma, noise_stderr = _noise(window, config)
    subspace = estimate_subspace(window.cubes, window.masks, sigma, window.bad, config.subspace.rank)
    frames = FrameWindow(window.project(subspace), window.masks, window.starts)
    context.progress("scene", 2, 4, "registration")
    whole = sample == View.whole(shape)

    def unfitted(registration: Registration, psf: str, stderr: tuple[float, float, float] | None = None) -> SceneModel:
        law = fit_power_law([frames.frames[k] for k in registration.included], Psf.parse(psf), config.scale)
        scene = SceneModel(registration, psf, subspace, law, config.scale, provisional)
        return replace(scene, psf_stderr=stderr, noise_stderr=noise_stderr)

    def show(registration: Registration, psf: str) -> None:
        """Show what a power law gives, soon; all that comes later only improves it."""
        if on_first is not None and psf != AUTO:
            scene = unfitted(registration, psf)
            on_first(scene, rough_image(frames, scene, sample, context), sample)

    if known is None:
        on_shifts = partial(show, psf=config.psf)
        registration = _start_motion(frames, subspace, stack.reference, config, context, start, whole, on_shifts)
    else:
        registration = known
        show(known, config.psf)
    psf, psf_stderr = config.psf, None
    if psf == AUTO:
        found_psf = _find_psf(frames, subspace, registration, config, context)
        psf, psf_stderr = found_psf.spec, found_psf.stderr
        show(registration, psf)
    scene = unfitted(registration, psf, psf_stderr)
    if known is None and isinstance(config.register_, JointConfig):
        scene = replace(scene, registration=_refined_motion(frames, scene, sample, config, context, whole))
    context.progress("scene", 3, 4, "power spectrum")
    may_exclude = known is None and isinstance(config.register_, GaussNewtonConfig) and config.register_.exclude
    scene, found = _fitted(frames, scene, sample, config, context, may_exclude)
    if on_fitted is not None:
        on_fitted(scene, lmmse.view_image(found.equations.observations.canvas, found.spectrum), sample)
    if known is None:
        scene = replace(scene, registration=judged(scene.registration, found, frames, window.cubes))
    scene = with_contrast_levels(frames, scene, sample, config, context, found)
    context.progress("scene", 4, 4, "done")
    return scene


def _noise(window: Window, config: PipelineConfig) -> tuple[Float64, Float64 | None]:
    """Noise of the good bands ``(B_good,)``; standard errors of all ``(B,)``, NaN at bad ones, None of fixed noise."""
    if config.fixed_noise is not None:
        return fixed_noise(config.fixed_noise, window.bad, window.cubes, window.masks), None
    found = find_noise(window.cubes, window.masks)
    stderr = np.full(len(window.bad), np.nan)
    stderr[~window.bad] = found.stderr
    return found.sigma, stderr


def _start_motion(
    frames: FrameWindow,
    subspace: Subspace,
    reference: int,
    config: PipelineConfig,
    context: Context,
    start: Registration | None,
    whole: bool,
    on_shifts: Callable[[Registration], None],
) -> Registration:
    """Motions found frame by frame; `on_shifts` is given them as soon as every frame has been shifted into place."""
    method = config.register_
    if isinstance(method, NoRegistrationConfig):
        registration = start or identity(len(frames.frames), reference)
        on_shifts(registration)
        return registration
    found = register_pairs(
        frames,
        reference,
        method,
        start,
        whole,
        lambda _: context.check(),
        lambda shifted: on_shifts(_levelled(shifted, subspace)),
    )
    return _levelled(found, subspace)


def _refined_motion(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context, whole: bool
) -> Registration:
    """Motions refined together with the image, by the few eigen-images that carry them."""
    method = config.register_
    assert isinstance(method, JointConfig)
    frames, scene = strongest(frames, scene)
    looser = config.lmmse.model_copy(update={"tolerance": max(config.lmmse.tolerance, MOTION_TOLERANCE)})
    rough = config.model_copy(update={"invert": looser})
    scene, found = fit_prior_and_noise(frames, scene, sample, rough, context)
    return refine_jointly(
        frames,
        scene,
        sample,
        method,
        context.device,
        whole,
        lambda step: context.progress("register", step, method.steps, "image and motions together"),
        found,
    )


def _fitted(
    frames: FrameWindow, scene: SceneModel, sample: View, config: PipelineConfig, context: Context, may_exclude: bool
) -> tuple[SceneModel, lmmse.Solution]:
    """Prior and noise fitted to the frames that belong to the scene."""
    fitted, found = fit_prior_and_noise(frames, scene, sample, config, context)
    belong = without_strangers(scene.registration, found) if may_exclude else scene.registration
    if belong.included == scene.registration.included:
        return fitted, found
    return fit_prior_and_noise(frames, replace(scene, registration=belong), sample, config, context)


def _levelled(found: PairRegistration, subspace: Subspace) -> Registration:
    """The registration with the offsets of its frames in data units."""
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

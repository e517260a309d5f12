"""Registration of a stack: whole pixels, then Gauss-Newton, then (on request) image and shifts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.geometry import View, translation
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import lay_out
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import FrameMotion, PowerSpectrum, Registration
from hsimisr.registration.coarse import whole_pixel_shift
from hsimisr.registration.config import GaussNewtonConfig, JointConfig
from hsimisr.registration.gauss_newton import PairShift, SmoothFrame, pair_shift
from hsimisr.registration.joint import refine_shifts

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
CHANNELS = 8
JOINT_CHANNELS = 3
"""Eigen-images that take part, pairwise and jointly: the strongest carry the motion, the rest only cost time."""
UNRELATED = 0.6
"""Part of the signal that a shift may leave unexplained; two unrelated images leave about 1."""
MARGIN = 4


def identity(count: int, reference: int) -> Registration:
    """Frames that are aligned already."""
    return Registration(tuple(FrameMotion(np.eye(3)) for _ in range(count)), reference)


def register_pairs(
    frames: list[Float32],
    masks: list[Mask],
    reference: int,
    config: GaussNewtonConfig,
    on_frame: Callable[[int], None] | None = None,
) -> Registration:
    """Shift of every frame against the reference.

    Args:
        frames: eigen-images ``(r, h_k, w_k)``, noise of unit variance.
        masks: ``(h_k, w_k)``, True where measured.
        on_frame: called with the number of each frame before it is registered; may raise to stop.
    """
    count = min(CHANNELS, len(frames[0]))
    smooth = [SmoothFrame.build(f[:count], m, config.prefilter) for f, m in zip(frames, masks, strict=True)]
    motions = []
    for k, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        if k == reference:
            motions.append(FrameMotion(np.eye(3)))
            continue
        if on_frame is not None:
            on_frame(k)
        if not mask.any():
            motions.append(FrameMotion(np.eye(3), weight=0.0, excluded=True, reason="holds no valid pixel"))
            continue
        coarse = whole_pixel_shift(frames[reference][:count], frame[:count], masks[reference], mask)
        motions.append(_motion(pair_shift(smooth[reference], smooth[k], coarse), config.exclude))
    return Registration(tuple(motions), reference, "gauss_newton")


def _motion(found: PairShift, exclude: bool) -> FrameMotion:
    motion = FrameMotion(translation(found.shift), covariance=found.covariance)
    if exclude and found.mismatch > UNRELATED:
        reason = f"does not show the reference's scene: {found.mismatch:.0%} of it is left unexplained"
        return replace(motion, excluded=True, weight=0.0, reason=reason)
    return motion


def refine_jointly(
    frames: list[Float32],
    masks: list[Mask],
    start: Registration,
    prior: PowerSpectrum,
    noise: npt.NDArray[np.float64],
    psf: Psf,
    scale: int,
    config: JointConfig,
    device: torch.device,
    on_step: Callable[[int], None] | None = None,
) -> Registration:
    """Shifts of maximum marginal likelihood, the HR image integrated out; excluded frames stay out.

    Args:
        start: shifts within about 0.1 LR pixels.
        prior: power spectrum of all eigen-images ``(r, n)``.
        noise: variance of every frame's eigen-images ``(K, r)``.
    """
    used = start.included
    if len(used) < 2:
        return start
    count = min(JOINT_CHANNELS, len(frames[0]))
    shape = frames[start.reference].shape[1:]
    canvas = Canvas.around(View.whole((shape[0], shape[1])), MARGIN, scale)
    observations = lay_out([f[:count] for f in frames], masks, start, canvas, psf, device)
    variance = torch.from_numpy(noise[list(used), :count].astype(np.float32))
    observations = replace(observations, variance=variance.to(device))
    spectrum = PowerSpectrum(prior.frequency, prior.power[:count])
    shifts = start.shifts[list(used)]
    found = refine_shifts(
        observations, spectrum, observations.operator.shifts, used.index(start.reference), config.steps, on_step
    )
    motions = list(start.frames)
    for place, k in enumerate(used):
        if k == start.reference:
            continue
        motions[k] = replace(
            motions[k],
            matrix=translation(shifts[place] + found.change[place]),
            covariance=found.covariance[place],
        )
    return Registration(tuple(motions), start.reference, "joint")

"""Registration of a stack: whole pixels, then Gauss-Newton frame by frame, by the simplest model that explains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.errors import ConfigError
from hsimisr.geometry import translation
from hsimisr.inversion.invert import FrameWindow
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.registration.choose import explains_more
from hsimisr.registration.coarse import whole_pixel_shift
from hsimisr.registration.config import GaussNewtonConfig, Model
from hsimisr.registration.displacement import Displacement, Polynomial, SplineField
from hsimisr.registration.gauss_newton import ENOUGH, ROUGH, Comparison, PairMotion, SmoothFrame, levels, pair_motion

Float64 = npt.NDArray[np.float64]
CHANNELS = 4
"""Eigen-images that take part: the strongest carry the motion, the rest only cost time; with eight the joint refinement
ends as far from the truth, at x2 and x4."""
UNRELATED = 0.6
"""Part of the signal that a motion may leave unexplained; two unrelated images leave about 1."""
FEW_ALIKE = 0.25
"""Share of the common pixels that must show the same scene. At first half are taken to; a frame that this does not
explain is tried once more as one that is mostly hidden by clouds."""
SAME_GAIN = 0.005
SAME_LEVEL = 0.3
CLEAR = 5.0
"""Gains this close to 1 and offsets of eigen-images this small in units of the noise, both also in standard errors, are
not worth a correction: aliasing, which is not white, counts in those as if it were."""
LEAST_SHARE = 0.02
"""Part of the difference between two frames that a richer motion must explain. Aliasing hangs together over blocks and
looks like motion by up to 0.007 of it, which is clear in a large frame; what moves explains 0.06 to 0.9."""
LADDER: tuple[Model, ...] = ("translation", "affine", "homography", "local")


@dataclass(frozen=True, eq=False)
class PairRegistration:
    """Motions found frame by frame, and the offset ``(r,)`` of each frame's eigen-images, noise units."""

    registration: Registration
    offsets: tuple[Float64, ...]


def identity(count: int, reference: int) -> Registration:
    """Frames that are aligned already."""
    return Registration(tuple(FrameMotion(np.eye(3)) for _ in range(count)), reference)


def basis_of(model: Model, shape: tuple[int, int], device: torch.device) -> Displacement:
    """The displacements that a kind of motion allows on a grid of ``(h, w)`` pixels."""
    return SplineField.build(shape, device) if model == "local" else Polynomial.build(model, shape, device)


def richer_models(now: Model, wanted: Model | Literal["auto"]) -> list[Model]:
    """The models to try after `now`, each on top of the one before, up to the one that is wanted."""
    last = len(LADDER) if wanted == "auto" else LADDER.index(wanted) + 1
    return list(LADDER[LADDER.index(now) + 1 : last])


def worth(model: Model, comparisons: Sequence[Comparison]) -> bool:
    """Whether held-out pixels favour this model over the motions that the frames are compared under."""
    if not comparisons:
        return False
    _, h, w = comparisons[0].error.shape
    return explains_more(comparisons, basis_of(model, (h, w), comparisons[0].error.device), least=LEAST_SHARE)


def register_pairs(
    window: FrameWindow,
    reference: int,
    config: GaussNewtonConfig,
    start: Registration | None = None,
    whole: bool = True,
    on_frame: Callable[[int], None] | None = None,
    on_shifts: Callable[[PairRegistration], None] | None = None,
) -> PairRegistration:
    """Motion of every frame against the reference.

    Args:
        window: eigen-images with noise of unit variance.
        start: motions to begin from instead of the best whole-pixel shift; those of excluded frames do not count.
        whole: whether the window shows the whole reference; a local field is found nowhere else.
        on_frame: called with the number of each frame before it is registered; may raise to stop.
        on_shifts: given the motions once every frame has been shifted into place, before richer models are tried.

    Returns:
        Motions in the frames' own pixels (not the window's).

    Raises:
        ConfigError: a local field is wanted for a part of the reference.
    """
    if config.model == "local" and not whole:
        raise ConfigError(
            "register.model=local needs the whole reference in memory; choose a smaller crop of the frames, or affine"
        )
    count = min(CHANNELS, len(window.frames[0]))
    smooth = [
        SmoothFrame.build(f[:count], m, config.prefilter) for f, m in zip(window.frames, window.masks, strict=True)
    ]
    shape = (smooth[reference].seen.shape[0], smooth[reference].seen.shape[1])
    others = [k for k in range(len(smooth)) if k != reference and window.masks[k].any()]
    motions = {k: _begin(window, reference, k, count, start) for k in others}
    found: dict[int, PairMotion] = {}

    def fit(model: Model) -> None:
        enough = ENOUGH if config.model in (model, "auto") else ROUGH
        basis = basis_of(model, shape, torch.device("cpu"))
        for k in others:
            if on_frame is not None:
                on_frame(k)
            begin = motions[k] if model != "local" else with_field(motions[k], shape)
            compare = partial(pair_motion, smooth[reference], smooth[k], begin, basis, enough=enough)
            found[k] = compare()
            if _why_foreign(found[k]) and not _why_foreign(hidden := compare(alike=FEW_ALIKE)):
                found[k] = hidden
            motions[k] = found[k].motion

    def collected() -> PairRegistration:
        return _collected(found, window, reference, config, None if whole else start)

    fit("translation")
    if on_shifts is not None:
        on_shifts(collected())
    for model in richer_models("translation", config.model):
        if model == "local" and not whole:
            continue
        if model == config.model or worth(model, [pair.comparison for pair in found.values()]):
            fit(model)
    return collected()


def with_field(motion: FrameMotion, shape: tuple[int, int]) -> FrameMotion:
    """The same motion with a local field on the reference's pixels, zero where it had none."""
    return motion if motion.field is not None else replace(motion, field=np.zeros((2, *shape), np.float32))


def _begin(window: FrameWindow, reference: int, k: int, count: int, start: Registration | None) -> FrameMotion:
    """Where to begin, in the window's pixels."""
    if start is not None and not start.frames[k].excluded:
        known = start.frames[k]
        matrix = translation(-np.asarray(window.starts[k])) @ known.matrix @ translation(window.starts[reference])
        y, x = window.starts[reference]
        h, w = window.masks[reference].shape
        field = None if known.field is None else known.field[:, y : y + h, x : x + w]
        return FrameMotion(matrix, field=field, model=known.model)
    images, masks = window.frames, window.masks
    shift = whole_pixel_shift(images[reference][:count], images[k][:count], masks[reference], masks[k])
    return FrameMotion(translation(shift))


def _collected(
    found: dict[int, PairMotion],
    window: FrameWindow,
    reference: int,
    config: GaussNewtonConfig,
    start: Registration | None,
) -> PairRegistration:
    """Motions in the frames' own pixels; local fields, which a window does not change, are those of `start`."""
    motions, offsets = [], []
    rank = len(window.frames[0])
    for k, origin in enumerate(window.starts):
        offset = np.zeros(rank)
        if k == reference:
            motions.append(FrameMotion(np.eye(3)))
        elif k not in found:
            motions.append(FrameMotion(np.eye(3), weight=0.0, excluded=True, reason="holds no valid pixel"))
        else:
            pair = found[k]
            matrix = translation(origin) @ pair.motion.matrix @ translation(-np.asarray(window.starts[reference]))
            motion = replace(pair.motion, matrix=matrix)
            if start is not None and motion.field is not None:
                motion = replace(motion, field=start.frames[k].field)
            reason = _why_foreign(pair)
            if (config.exclude and reason) or pair.alike == 0 or motion.gain <= 0:
                motions.append(replace(motion, gain=1.0, excluded=True, weight=0.0, reason=reason))
            elif _differs_in_brightness(pair):
                ours, theirs = (
                    SmoothFrame.build(window.frames[n], window.masks[n], config.prefilter) for n in (reference, k)
                )
                offset = levels(ours, theirs, pair)
                motions.append(motion)
            else:
                motions.append(replace(motion, gain=1.0))
        offsets.append(offset)
    return PairRegistration(Registration(tuple(motions), reference, "gauss_newton"), tuple(offsets))


def _differs_in_brightness(pair: PairMotion) -> bool:
    gain = abs(pair.motion.gain - 1) > max(SAME_GAIN, CLEAR * pair.gain_error)
    offset = np.abs(pair.offset) > np.maximum(SAME_LEVEL, CLEAR * pair.offset_error)
    return bool(gain or offset.any())


def _why_foreign(pair: PairMotion) -> str:
    """Why a frame does not belong, or nothing."""
    if pair.alike == 0:
        return "has no pixel in common with the reference"
    if pair.motion.gain <= 0:
        return "does not show the reference's scene: it is dark where that is bright"
    if pair.mismatch > UNRELATED:
        return f"does not show the reference's scene: {pair.mismatch:.0%} of it is left unexplained"
    if pair.alike < FEW_ALIKE:
        return f"shows the reference's scene in {pair.alike:.0%} of its pixels only"
    return ""

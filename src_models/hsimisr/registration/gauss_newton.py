"""Motion between two frames by Gauss-Newton on all eigen-images at once, whatever the kind of motion.

The frame is resampled where the motion says, compared with the reference, and the motion composed with the
displacement that explains the difference (Lucas and Kanade, 1981; compositional as in Baker and Matthews, IJCV 56(3),
2004). A Gaussian prefilter removes most of the aliasing, which would bias it. Gain and offsets are fitted along, and
pixels that show something else (clouds, cars) lose their weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates, spline_filter1d, uniform_filter
from scipy.stats import norm

from hsimisr.physics.linalg import hermitian_inverse
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion
from hsimisr.registration.displacement import Displacement

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
LARGEST_STEP = 0.7
ENOUGH, ROUGH = 1e-4, 0.1
"""LR pixels: the longest displacement that one step may make, and those at which the iteration ends, where the motion
found is the result and where it is only the start of a richer one: robust weights under too simple a motion settle
slowly, for nothing."""
PREFILTER_SHARE = 4 * math.pi
"""A Gaussian prefilter of width w leaves one independent pixel in ``4 pi w^2``."""
LEAST_POWER = 0.5
"""Part of the reference's power that is not taken for noise: where there is no more, a gain is hardly told at all."""
OUTLIER = 3.0
"""Local rms of the difference, in units of its own typical size, from which a pixel loses weight."""


@dataclass(frozen=True, eq=False)
class SmoothFrame:
    """A prefiltered frame: values and slopes ``(r, h, w)``, ``(2, r, h, w)`` at the pixels, splines, and what is seen.

    `seen` leaves out a border that the prefilter filled from one side only.
    """

    values: Float64
    splines: Float64
    seen: Mask
    prefilter: float

    @classmethod
    def build(cls, frame: Float32, mask: Mask, prefilter: float) -> SmoothFrame:
        """From eigen-images ``(r, h, w)``; masked pixels are filled from their neighbourhood."""
        image, seen = frame.astype(np.float64), mask.astype(float)
        if prefilter > 0:
            weight = gaussian_filter(seen, prefilter, mode="nearest")
            image = gaussian_filter(image * seen, (0, prefilter, prefilter), mode="nearest")
            image /= np.maximum(weight, 1e-3)
        splines = image
        for axis in (1, 2):
            splines = spline_filter1d(splines, 3, axis=axis, mode="mirror")
        border = max(0, min(math.ceil(2 * prefilter) + 1, (min(mask.shape) - 10) // 4))
        inner = binary_erosion(mask, iterations=border) if border else mask
        return cls(image, splines, inner, prefilter)

    def at(self, points: Float64) -> Float64:
        """Values ``(r, ...)`` at points ``(..., 2)``."""
        where = np.moveaxis(points, -1, 0)
        return np.stack([map_coordinates(c, where, order=3, mode="mirror", prefilter=False) for c in self.splines])

    @cached_property
    def slopes(self) -> Float64:
        """Derivatives ``(2, r, h, w)`` along y and x of the splines at the pixels."""
        padded = np.pad(self.splines, ((0, 0), (1, 1), (1, 1)), mode="reflect")
        even, odd = np.array([1, 4, 1]) / 6, np.array([-1, 0, 1]) / 2
        along = [(odd, even), (even, odd)]
        return np.stack([_stencil(padded, y, x) for y, x in along])


@dataclass(frozen=True, eq=False)
class PairMotion:
    """How one frame moved against another.

    Attributes:
        motion: with its gain and its model; offsets are in `offset`.
        offset: ``(r,)``, ``frame = gain * reference + offset``.
        mismatch: part of the frame's variance that the reference does not explain where they show the same, 0 to 1.
        alike: share of the common pixels where they do; 0 without common pixels.
        gain_error, offset_error: standard errors of the gain and of the offsets ``(r,)``.
        comparison: what the next motion model can be judged by.
    """

    motion: FrameMotion
    offset: Float64
    mismatch: float
    alike: float
    gain_error: float
    offset_error: Float64
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Comparison:
    """A frame beside what the reference predicts: ``error ~ displacement . slopes``, all at the reference's pixels.

    Attributes:
        error: ``(r, h, w)``.
        slopes: ``(2, r, h, w)``, change of the frame as its content moves, per LR pixel.
        weight: ``(r, h, w)``, inverse variance of an independent pixel.
    """

    error: torch.Tensor
    slopes: torch.Tensor
    weight: torch.Tensor


def pair_motion(
    reference: SmoothFrame,
    frame: SmoothFrame,
    start: FrameMotion,
    basis: Displacement,
    iterations: int = 20,
    enough: float = ENOUGH,
    alike: float = 0.5,
) -> PairMotion:
    """Gauss-Newton from a start that is right to about two LR pixels.

    Args:
        basis: displacements on the grid of the reference by which the motion may change.
        enough: longest displacement of a step, LR pixels, at which the iteration ends.
        alike: least share of the common pixels that show the same scene.
    """
    shape = reference.seen.shape
    pixels = np.moveaxis(np.indices(shape), 0, -1).astype(float)
    slopes = torch.from_numpy(-reference.slopes)
    independent = max(1.0, PREFILTER_SHARE * reference.prefilter**2)
    motion, gain = start, 1.0
    noise = 1 / independent  # variance that the prefilter leaves of white noise
    for n in range(iterations + 1):
        where = forward_motion(motion, pixels)
        seen = reference.seen & _inside(frame.seen, where)
        values = frame.at(where)
        error, weight, gain, offset = _difference(reference.values, values, seen, gain, noise, alike)
        shown = torch.from_numpy(weight / independent)
        comparison = Comparison(torch.from_numpy(error), gain * slopes, shown)
        if n == iterations or not seen.any():
            break
        step = _step(comparison, basis)
        longest = float(basis.field(step[None]).abs().max())
        corner = np.rint(forward_motion(motion, pixels[shape[0] // 2, shape[1] // 2])) - np.array(shape) // 2
        step = step * min(1.0, LARGEST_STEP / max(longest, 1e-12))
        motion = basis.compose(motion, step.numpy(), corner)
        if longest < enough:
            break
    same = weight.sum(0) > 0.5 * weight.sum(0).max(initial=1e-30)
    signal = (_centred(values, same & seen) ** 2)[:, same].sum()
    mismatch = float((error**2)[:, same].sum() / max(signal, 1e-12))
    covariance = _position_covariance(comparison, basis)
    found = FrameMotion(motion.matrix, covariance=covariance, gain=gain, field=motion.field, model=motion.model)
    share = float((same & seen).sum() / max(seen.sum(), 1))
    power = float((weight * (reference.values - _means(reference.values, weight)) ** 2).sum())
    gain_error = math.sqrt(independent / max(power, 1e-12))
    offset_error = np.sqrt(independent / np.maximum(weight.sum((1, 2)), 1e-12))
    return PairMotion(found, offset, mismatch, share, gain_error, offset_error, comparison)


def levels(reference: SmoothFrame, frame: SmoothFrame, pair: PairMotion) -> Float64:
    """Offset ``(r,)`` of a frame's eigen-images at a known motion and gain, also of those that did not help to find it.

    Args:
        pair: how the frame moved; its pixels count as much as they did there.
    """
    pixels = np.moveaxis(np.indices(reference.seen.shape), 0, -1).astype(float)
    values = frame.at(forward_motion(pair.motion, pixels))
    share = pair.comparison.weight[:1].numpy()
    return (_means(values, share) - pair.motion.gain * _means(reference.values, share))[:, 0, 0]


def _difference(
    reference: Float64, values: Float64, seen: Mask, gain: float, noise: float, alike: float
) -> tuple[Float64, Float64, float, Float64]:
    """Difference and weight ``(r, h, w)``, gain, and offset ``(r,)``; gain and offsets are those that fit best.

    Robust from the start: the first difference is centred by its median and taken at the gain found before. Noise in
    the reference, of variance `noise`, would dilute the gain and is taken off.
    """
    error = values - gain * reference
    offset = _densest(error[:, seen], alike) if seen.any() else np.zeros(len(error))
    error -= offset[:, None, None]
    weight = _weights(error, seen, alike)
    for _ in range(2):
        means = [_means(image, weight) for image in (reference, values)]
        a, b = reference - means[0], values - means[1]
        power = (weight * a**2).sum()
        gain = float((weight * a * b).sum() / max(power - noise * weight.sum(), LEAST_POWER * power, 1e-12))
        offset = (means[1] - gain * means[0])[:, 0, 0]
        error = values - gain * reference - offset[:, None, None]
        weight = _weights(error, seen, alike)
    return error * seen, weight, gain, offset


def _means(images: Float64, weight: Float64) -> Float64:
    """Weighted means ``(r, 1, 1)``."""
    total = np.maximum(weight.sum((1, 2), keepdims=True), 1e-12)
    return np.asarray((images * weight).sum((1, 2), keepdims=True) / total)


def _densest(values: Float64, share: float) -> Float64:
    """Middle ``(r,)`` of values ``(r, n)``: the median, or of the shortest interval that holds a lesser share."""
    if share >= 0.5:
        return np.asarray(np.median(values, axis=1))
    ordered = np.sort(values, axis=1)
    inside = max(1, int(share * values.shape[1]))
    first = np.argmin(ordered[:, inside:] - ordered[:, :-inside], axis=1)
    every = np.arange(len(values))
    return np.asarray((ordered[every, first] + ordered[every, first + inside]) / 2)


def _weights(error: Float64, seen: Mask, alike: float) -> Float64:
    """Inverse variance of each channel ``(r, h, w)``, less where the neighbourhood differs more than is usual."""
    if not seen.any():
        return np.zeros_like(error)
    typical = np.quantile(np.abs(error[:, seen]), alike, axis=1) / norm.ppf((1 + alike) / 2)
    channel = 1 / (typical**2 + 1e-9 * error[:, seen].var(1) + 1e-12)
    power = (error**2 * channel[:, None, None]).mean(0) * seen
    around = uniform_filter(power, 3, mode="constant")
    around /= np.maximum(uniform_filter(seen.astype(float), 3, mode="constant"), 1e-6)
    share = seen / (1 + np.maximum(around / OUTLIER**2 - 1, 0)) ** 2
    return channel[:, None, None] * share


def _step(comparison: Comparison, basis: Displacement) -> torch.Tensor:
    weighted = comparison.slopes * comparison.weight
    normal = _normal(comparison, basis)
    gradient = basis.transpose((weighted * comparison.error).sum(1)[None].float())[0]
    return hermitian_inverse(normal) @ gradient


def _normal(comparison: Comparison, basis: Displacement) -> torch.Tensor:
    weighted = comparison.slopes * comparison.weight
    normal = basis.normal(torch.einsum("achw,bchw->abhw", weighted, comparison.slopes)[None].float())[0] + basis.penalty
    return normal + 1e-9 * torch.diag(normal.diagonal()) + 1e-12 * torch.eye(basis.count)


def _position_covariance(comparison: Comparison, basis: Displacement) -> Float64:
    """Covariance ``(2, 2)`` of the position, mean over the reference's pixels."""
    covariance = hermitian_inverse(_normal(comparison, basis)).float()
    fields = basis.field(torch.eye(basis.count))
    mean = torch.einsum("pahw,pq,qbhw->ab", fields, covariance, fields) / fields[0, 0].numel()
    return mean.double().numpy()


def _centred(image: Float64, seen: Mask) -> Float64:
    return image - (image * seen).sum((1, 2), keepdims=True) / max(seen.sum(), 1)


def _inside(seen: Mask, points: Float64) -> Mask:
    """Which points ``(h, w, 2)`` fall on a seen pixel of a frame, to the nearest pixel."""
    place = np.rint(points).astype(int)
    inside = ((place >= 0) & (place < seen.shape)).all(-1)
    out = np.zeros(inside.shape, bool)
    out[inside] = seen[place[inside, 0], place[inside, 1]]
    return out


def _stencil(padded: Float64, y: Float64, x: Float64) -> Float64:
    """Separable three-tap filter of images ``(r, h + 2, w + 2)``."""
    h, w = padded.shape[1] - 2, padded.shape[2] - 2
    rows = sum(y[i] * padded[:, i : i + h] for i in range(3))
    return np.asarray(sum(x[j] * rows[:, :, j : j + w] for j in range(3)))

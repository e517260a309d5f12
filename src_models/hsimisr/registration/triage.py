"""What is the matter with single frames: reasons for people, beside the weights that the estimates found themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, laplace

from hsimisr.inversion.invert import FrameWindow
from hsimisr.inversion.lmmse import Solution
from hsimisr.inversion.misfit import misfit
from hsimisr.physics.types import Registration
from hsimisr.registration.register import UNRELATED

Float32 = npt.NDArray[np.float32]
CHANNELS = 3
"""Eigen-images that frames are judged by: the strongest."""
BAD_FIT = 3.0
OTHER_THINGS = 0.05
BLURRED = 0.5
SATURATED = 0.02
"""What is worth telling: residual power over what is expected, share of pixels that show something else, share of the
other frames' detail that is left, share of pixels at the largest value of their band."""
LAPLACE_NOISE = 20.0
"""Variance of the discrete Laplacian of white noise of unit variance."""


def without_strangers(registration: Registration, found: Solution) -> Registration:
    """Leaves out frames of which an estimate from all explains so little that they must show another scene.

    A pair of frames that overlap by little may look alike by chance; beside what all others show, a stranger does not.
    """
    o = found.equations.observations
    full = o.weight.amax((1, 2, 3), keepdim=True)
    seen = (o.weight > full / 2).float()
    count = seen.sum((2, 3)).clamp_min(1)
    mean = (seen * o.data).sum((2, 3)) / count
    power = full[:, :, 0, 0] * ((seen * (o.data - mean[:, :, None, None])) ** 2).sum((2, 3)) / count
    left, shown = misfit(found, 0.0)[:, :CHANNELS].sum(1), power[:, :CHANNELS].sum(1).cpu().numpy()
    motions = list(registration.frames)
    for place, k in enumerate(registration.included):
        share = left[place] / max(shown[place], 1e-12)
        if k != registration.reference and left[place] > BAD_FIT * CHANNELS and share > UNRELATED:
            reason = f"does not show what the other frames do: {share:.0%} of it is left unexplained"
            motions[k] = replace(motions[k], excluded=True, weight=0.0, gain=1.0, reason=reason)
    return replace(registration, frames=tuple(motions))


def judged(registration: Registration, found: Solution, window: FrameWindow, cubes: list[Float32]) -> Registration:
    """The same motions with how well each used frame is predicted, and why one is trusted less.

    Args:
        found: estimate of the eigen-images from all used frames; a frame's residual is judged as if it had been held
            out (its leverage is taken into account).
        cubes: the frames ``(B, h_k, w_k)``, data units.
    """
    used = registration.included
    o = found.equations.observations
    chi2 = misfit(found, 0.0)[:, :CHANNELS].mean(1)
    full = o.weight.amax((1, 2, 3), keepdim=True)
    distrusted = ((o.weight > 0) & (o.weight < full / 2)).sum((1, 2, 3)) / (o.weight > 0).sum((1, 2, 3)).clamp_min(1)
    detail = np.array([_detail(window.frames[k], window.masks[k], registration.frames[k].gain) for k in used])
    motions = list(registration.frames)
    for place, k in enumerate(used):
        others = np.delete(detail, place)
        others = others[np.isfinite(others)]
        remarks = []
        if (share := float(distrusted[place])) > OTHER_THINGS:
            remarks.append(f"{share:.0%} of it shows something else (clouds, moving things)")
        if len(others) > 1 and (left := detail[place] / max(float(np.median(others)), 1e-12)) < BLURRED:
            remarks.append(f"blurred: {left:.0%} of the other frames' detail is left")
        if (share := _saturated(cubes[k], window.masks[k])) > SATURATED:
            remarks.append(f"saturated in {share:.0%} of its pixels")
        if chi2[place] > BAD_FIT and o.canvas.scale > 1:  # at scale 1 the model knows no aliasing
            remarks.append(f"fits badly: its residual is {chi2[place]:.1f} times what is expected")
        motions[k] = replace(motions[k], chi2=float(chi2[place]), reason="; ".join(remarks))
    return replace(registration, frames=tuple(motions))


def _detail(images: Float32, mask: npt.NDArray[np.bool_], gain: float) -> float:
    """Power of the finest structure of the strongest eigen-images at gain 1, noise taken off.

    NaN where the mask leaves no pixel with all its neighbours.
    """
    inner = binary_erosion(mask, np.ones((3, 3)))
    edges = np.stack([laplace(image.astype(np.float64)) for image in images[:CHANNELS]])[:, inner]
    if edges.size == 0:
        return float("nan")
    return float(np.maximum((edges**2).mean(1) - LAPLACE_NOISE, 0).sum()) / gain**2


def _saturated(cube: Float32, mask: npt.NDArray[np.bool_]) -> float:
    """Share of pixels that hold the very largest value of their band, mean over bands."""
    pixels = cube[:, mask]
    if pixels.shape[1] == 0:
        return 0.0
    return float((pixels == pixels.max(1, keepdims=True)).mean())

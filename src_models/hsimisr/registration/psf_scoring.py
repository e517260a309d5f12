"""Box-and-Gaussian blurs of scenes of a known kind, by marginal likelihood of the frames.

The HR image is integrated out on the canvas. In each round the posterior under the last model gives the expected power
of the HR image, and a step of Fisher scoring (the log spectrum of the blurred scene is linear in all that is sought)
moves the model towards it. Images are compared whitened and tapered: nothing leaks from low frequencies or from the
border.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hsimisr.geometry import View
from hsimisr.inversion import lmmse
from hsimisr.inversion.prior import fit_power_law, radial_frequencies
from hsimisr.inversion.solver import NormalEquations, conjugate_gradients
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.observations import Observations, canvas_offset, lay_out, operator_for
from hsimisr.physics.psf import Gaussian, Psf
from hsimisr.physics.types import PowerSpectrum, Registration

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

STRONGEST = 3
"""Eigen-images that take part."""
HR_SIDE = 192
"""Side in HR pixels of the part of the reference that is looked at: its middle."""
MARGIN = 4
EDGE = 3
"""LR pixels around the view on the canvas, and inside it those that are not compared."""
LOWEST = 0.2
"""Cycles per LR pixel: below it a scene's layout, not its texture, shapes the spectrum, and a blur does little."""
EXPONENT = 2.5
PIXEL_BLUR = 0.09
"""The spectrum of scenes: its exponent, and the variance, HR pixels squared, of what an HR pixel blurs itself. Medians
of 16 airborne, satellite and laboratory scenes."""
START = 0.16
WIDEST = 0.84
LONGEST_STEP = 0.08
"""LR pixels squared: the Gaussian's variance to begin with, the largest, and the largest change in one round."""
SETTLED = 5e-4
ROUNDS = 8
CG_STEPS = 15
RIDGE = 1e-6
"""Added to the information, so that an eigen-image that is all noise leaves it invertible."""


@dataclass(frozen=True, eq=False)
class BlurredScene:
    """What all rounds share: the frames on their canvas, and the terms of the log spectrum.

    Attributes:
        fixed: log power ``(s*s, h, w//2+1)`` of the scene but for level and direction.
        blur: what each element (yy, xx, yx) of the Gaussian's covariance adds to the log power ``(3, ...)``.
        own: the same for each eigen-image's level and direction ``(3, ...)``.
        weight: independent data at each frequency; 0 where it is not used.
        taper: over the canvas ``(H, W)``, of mean square 1.
        levels: of the eigen-images to begin with ``(r,)``.
    """

    observations: Observations
    registration: Registration
    moved: npt.NDArray[np.int64]
    fixed: Array
    blur: Array
    own: Array
    weight: Array
    taper: torch.Tensor
    levels: Array

    @classmethod
    def of(
        cls,
        frames: list[Float32],
        masks: list[Mask],
        registration: Registration,
        scale: int,
        device: torch.device,
        starts: list[tuple[int, int]] | None,
        offsets: list[Array] | None,
    ) -> BlurredScene:
        used = registration.included
        count = min(STRONGEST, len(frames[0]))
        centre = [
            np.mean([frames[k][i][masks[k]].mean(dtype=float) for k in used if masks[k].any()]) for i in range(count)
        ]
        levelled = np.array(centre, np.float32)[:, None, None]
        strongest = [frame[:count] - levelled for frame in frames]
        origin = (0, 0) if starts is None else starts[registration.reference]
        canvas = Canvas.around(_middle(strongest[registration.reference].shape[1:], origin, scale), MARGIN, scale)
        psf = Psf("box", np.sinc, Gaussian(START, START))
        told = None if offsets is None else [offset[:count] for offset in offsets]
        observations = lay_out(strongest, masks, registration, canvas, psf, device, starts, told)
        moved = np.stack([canvas_offset(registration.frames[k], canvas) for k in used])
        law = fit_power_law([strongest[k] for k in used], psf, scale)
        fy, fx = canvas.frequencies
        radius = np.maximum(canvas.radius, 0.5 / max(canvas.shape))
        fixed = _scene(radius, scale)
        near = np.array([0.3])
        levels = np.log(law.at(near)[:, 0]) - _scene(near, scale)
        angle = 2 * np.arctan2(fx, fy)
        taper = _taper(canvas)
        independent = (taper**2).sum() ** 2 / (taper**4).sum() / taper.size
        return cls(
            observations,
            registration,
            moved,
            fixed,
            -4 * np.pi**2 * np.stack([fy**2, fx**2, 2 * fy * fx]),
            np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)]),
            canvas.half_weight / 2 * independent * ((radius > LOWEST) & ~canvas.unpaired),
            torch.from_numpy((taper / np.sqrt((taper**2).mean())).astype(np.float32)).to(device),
            levels,
        )


def _middle(shape: tuple[int, ...], origin: tuple[int, int], scale: int) -> View:
    """The middle of a window of the reference that begins at `origin`."""
    most = HR_SIDE // scale
    (y0, y1), (x0, x1) = (
        (o + (n - min(n, most)) // 2, o + (n + min(n, most)) // 2) for n, o in zip(shape, origin, strict=True)
    )
    return View(y0, y1, x0, x1)


def _scene(frequency: Array, scale: int) -> Array:
    """Log power of a scene of level 0 as an HR pixel sees it."""
    return np.asarray(-EXPONENT * np.log(frequency) - 4 * np.pi**2 * PIXEL_BLUR / scale**2 * frequency**2)


def _taper(canvas: Canvas) -> Array:
    """Half a sine wave along each axis of the view less its edge, 0 around it: ``(H, W)``."""
    out = np.zeros(canvas.hr_shape)
    places = [slice(part.start + EDGE * canvas.scale, part.stop - EDGE * canvas.scale) for part in canvas.view_slices]
    waves = [np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in (part.stop - part.start for part in places)]
    out[tuple(places)] = np.outer(*waves)
    return out


@dataclass(frozen=True, eq=False)
class BlurFit:
    """A model of the blurred scene.

    Attributes:
        gaussian: the blur of the detector box.
        own: level, and two numbers for the direction, of each eigen-image's spectrum ``(3, r)``.
        covariance: of the elements of the Gaussian's covariance that were free, first, and of all of `own`.
    """

    gaussian: Gaussian
    own: Array
    covariance: Array

    @classmethod
    def start(cls, scene: BlurredScene) -> BlurFit:
        own = np.zeros((3, len(scene.levels)))
        own[0] = scene.levels
        return cls(Gaussian(START, START), own, np.zeros((0, 0)))


def fit_blur(scene: BlurredScene, start: BlurFit, elongated: bool, on_round: Callable[[], None]) -> BlurFit:
    """Fisher scoring from a start: round, or with two axes.

    Args:
        on_round: called before each round; may raise to stop.
    """
    blur = scene.blur if elongated else scene.blur[:1] + scene.blur[1:2]
    used = scene.weight > 0
    weight = scene.weight[used]
    r = len(scene.levels)
    fit = start
    for _ in range(ROUNDS):
        on_round()
        excess, known = _compare(scene, fit)
        free = len(blur)
        information = np.zeros((free + 3 * r, free + 3 * r))
        slope = np.zeros(len(information))
        for i in range(r):
            terms = np.concatenate([blur[:, used], scene.own[:, used]])
            place = [*range(free), *range(free + 3 * i, free + 3 * i + 3)]
            information[np.ix_(place, place)] += (terms * (weight * known[i, used] ** 2)) @ terms.T
            slope[place] += terms @ (weight * excess[i, used])
        covariance = np.asarray(np.linalg.inv(information + RIDGE * np.eye(len(information))), np.float64)
        step = covariance @ slope
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step[:free]).max()), 1e-12))
        gaussian = _stepped(fit.gaussian, step[:free])
        change = max(abs(gaussian.yy - fit.gaussian.yy), abs(gaussian.xx - fit.gaussian.xx))
        own = np.asarray(fit.own + np.clip(step[free:].reshape(r, 3).T, -1, 1))
        fit = BlurFit(gaussian, own, covariance)
        if change < SETTLED:
            break
    return fit


def _stepped(gaussian: Gaussian, step: Array) -> Gaussian:
    """The Gaussian after a step of its variance or of its three elements, kept a blur and no wider than `WIDEST`."""
    yy, xx, yx = step if len(step) == 3 else (step[0], step[0], 0.0)
    matrix = np.array([[gaussian.yy + yy, gaussian.yx + yx], [gaussian.yx + yx, gaussian.xx + xx]])
    values, vectors = np.linalg.eigh(matrix)
    inside = vectors * np.clip(values, 0.0, WIDEST) @ vectors.T
    return Gaussian(float(inside[0, 0]), float(inside[1, 1]), float(inside[0, 1]))


def _compare(scene: BlurredScene, fit: BlurFit) -> tuple[Array, Array]:
    """Expected power of the whitened HR images less 1, and the share of it that the frames tell, ``(r, ...)`` each."""
    canvas = scene.observations.canvas
    psf = Psf("box", np.sinc, fit.gaussian)
    motions = [scene.registration.frames[k] for k in scene.registration.included]
    device = scene.observations.data.device
    observations = replace(scene.observations, operator=operator_for(canvas, psf, motions, scene.moved, device))
    frequency = radial_frequencies(canvas.scale, canvas.shape)
    radial = np.exp(_scene(frequency, canvas.scale) + fit.own[0][:, None])
    observations = lmmse.inflated(observations, scene.registration, PowerSpectrum(frequency, radial), psf)
    power = np.exp(scene.fixed + np.einsum("ni,n...->i...", fit.own, scene.own)) * canvas.scale**2
    precision = torch.from_numpy((1 / power).astype(np.float32)).to(device)
    equations = NormalEquations.under(observations, precision)
    closed = equations.closed_form
    spectrum, _ = conjugate_gradients(equations, CG_STEPS, 1e-3)
    whitened = canvas.to_image(precision.sqrt() * spectrum) * scene.taper
    seen = (canvas.to_spectrum(whitened).abs() ** 2 / math.prod(canvas.hr_shape)).cpu().numpy().astype(float)
    unknown = (closed.spectrum_variance() * precision).cpu().numpy().astype(float)
    return seen + unknown - 1, np.clip(1 - unknown, 0, 1)

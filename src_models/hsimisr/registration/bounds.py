"""How well shifts can be known: Cramer-Rao bounds with the scene known, and with the scene to be found too.

What a registration reports and what a benchmark measures are read against these. Both bounds are covariances of each
frame's shift relative to the reference; motions other than shifts are taken for their shift at the frame's middle.
(Robinson and Milanfar, IEEE TIP 13(9), 2004, for the known scene and IEEE TIP 15(6), 2006, for the unknown one.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import View
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import SceneModel

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
ENOUGH = 64
"""Most frequencies along each axis at which the information is looked at: it is smooth, and larger frames only hold
more of it."""
BLOCK = 2**21
"""Complex numbers that one matrix per LR frequency may take at a time."""


def known_scene_bound(scene: SceneModel, images: Float32) -> Float64:
    """Bound for whoever knows the HR scene: ``[sum grad y grad y' / variance]^-1`` per frame.

    The sum runs over eigen-images and the frame's pixels whose ground lies on the reference; y is the blurred scene.
    Frames are taken to be as large as the reference.

    Args:
        scene: motion, PSF and noise (`misfit`; 1 where there is none).
        images: the scene's eigen-images ``(r, s h, s w)`` on the reference's footprint, noise units.

    Returns:
        Covariances ``(K, 2, 2)`` of ``(dy, dx)``, LR pixels squared; 0 for the reference, NaN for excluded frames.
    """
    s, psf = scene.scale, Psf.parse(scene.psf)
    r, height, width = images.shape
    h, w = height // s, width // s
    # the even extension is periodic and has no jump at the borders
    even = np.pad(images.astype(float), ((0, 0), (0, height), (0, width)), mode="symmetric")
    along_y, along_x = (np.asarray(np.fft.fftfreq(2 * n) * s, dtype=float) for n in (height, width))
    fy, fx = along_y[:, None], along_x[None, :]
    spectrum = np.fft.fft2(even) * psf.on_grid(fy, fx)
    shifts, trust = _shifts(scene, (h, w)), _trust(scene)
    out = np.full((len(shifts), 2, 2), np.nan)
    for k in scene.registration.included:
        rest = shifts[k] - np.rint(shifts[k])  # whole pixels move nothing but the part that is seen
        to_centre = 0.5 - rest - 0.5 / s  # from HR pixel (0, 0) to the ground of LR pixel (0, 0), LR pixels
        moved = spectrum * np.exp(2j * np.pi * (fy * to_centre[0] + fx * to_centre[1]))
        slopes = [np.fft.ifft2(moved * (2j * np.pi * f)).real[:, ::s, ::s] for f in (fy, fx)]
        ground = [np.arange(n) - d for n, d in zip((h, w), rest, strict=True)]
        inside = [
            (g >= -0.5) & (g <= n - 0.5) & (g + d >= -0.5) & (g + d <= n - 0.5)
            for g, n, d in zip(ground, (h, w), shifts[k], strict=True)
        ]
        seen = np.ix_(np.arange(r), *(np.flatnonzero(part) for part in inside))
        gradient = np.stack([slope[seen].reshape(r, -1) for slope in slopes])
        out[k] = _inverse(np.einsum("arp,brp,r->ab", gradient, gradient, trust[k]))
    out[scene.registration.reference] = 0.0
    return out


def unknown_scene_bound(scene: SceneModel, shape_yx: tuple[int, int]) -> Float64:
    """Bound for whoever has the frames alone and knows the scene's power spectrum.

    The HR image is integrated out: per LR frequency, the K frames are Gaussian with covariance
    ``C = M P M^H + variance``, M the responses to the frequencies that alias there, and their Fisher information about
    the shifts is ``tr(C^-1 dC_i C^-1 dC_j) / 2`` (Slepian-Bangs; Kay, Estimation Theory, 1993, section 3.9). It never
    exceeds what the known scene would give, averaged over scenes of this spectrum. Unlike a bound without a prior it
    exists for K <= s^2 frames too: there aliasing cannot be told from detail, and less noise does not help beyond a
    point. Frames count as periodic, each covering the reference: content that enters and leaves is ignored.

    Args:
        scene: motion, PSF, noise (`misfit`; 1 where there is none) and prior.
        shape_yx: size of the frames, LR pixels.

    Returns:
        Covariances ``(K, 2, 2)`` of ``(dy, dx)`` relative to the reference, LR pixels squared; 0 for the reference,
        NaN for excluded frames.
    """
    registration, used = scene.registration, list(scene.registration.included)
    sampled = min(shape_yx[0], ENOUGH), min(shape_yx[1], ENOUGH)
    canvas = Canvas((0, 0), sampled, scene.scale, View.whole(sampled))
    blur = Psf.parse(scene.psf).on_grid(*canvas.frequencies)
    blur[canvas.unpaired] = 0.0
    aliases = canvas.scale**2
    frequency, blur = np.stack(canvas.frequencies).reshape(2, aliases, -1), blur.reshape(aliases, -1)
    power = scene.prior.at(canvas.radius).reshape(-1, aliases, blur.shape[1])
    share = sampled[0] * sampled[1] / (shape_yx[0] * shape_yx[1])
    half_plane = np.tile(canvas.half_weight.astype(float), sampled[0]) / (2 * share)
    shifts, trust = _shifts(scene, shape_yx)[used], _trust(scene)[used]
    information = np.zeros((len(used), 2, len(used), 2))
    for part in np.array_split(np.arange(len(half_plane)), max(1, len(half_plane) * (2 * len(used)) ** 2 // BLOCK)):
        response, slope = _responses(frequency[..., part], blur[:, part], shifts)
        for image, precision in zip(power[..., part], trust.T, strict=True):
            information += _fisher(response * image.T[:, None], response, slope, 1 / precision, half_plane[part])
    free = [n for n, k in enumerate(used) if k != registration.reference]
    covariance = _inverse(information[free][:, :, free].reshape(2 * len(free), 2 * len(free)))
    out = np.full((len(registration.frames), 2, 2), np.nan)
    for n, place in enumerate(free):
        out[used[place]] = covariance[2 * n : 2 * n + 2, 2 * n : 2 * n + 2]
    out[registration.reference] = 0.0
    return out


def _fisher(powered: Complex, response: Complex, slope: Complex, variance: Float64, weight: Float64) -> Float64:
    """Information ``(K, 2, K, 2)`` of one eigen-image about the shifts, summed over LR frequencies with `weight`.

    The derivative of C by shift i of frame k is ``u e_k' + e_k u^H`` with ``u = M P dM_k^H``, so that the traces come
    down to entries of ``G = C^-1``, ``G U`` and ``U^H G U``.

    Args:
        powered: responses times prior power ``(L, K, s*s)``.
        response: M ``(L, K, s*s)``.
        slope: its derivatives ``(L, K, 2, s*s)``.
        variance: of the noise in each frame ``(K,)``.
    """
    k = response.shape[1]
    G = np.linalg.inv(powered @ response.conj().swapaxes(1, 2) + np.diag(variance))
    U = powered @ slope.reshape(len(slope), 2 * k, -1).conj().swapaxes(1, 2)  # (L, K, 2 K)
    GU = G @ U
    inner = (U.conj().swapaxes(1, 2) @ GU).reshape(-1, k, 2, k, 2)
    crossed = GU.reshape(-1, k, k, 2)  # (L, m, k, a): element m of G u_ka
    first = np.einsum("l,lmka,lkmb->kamb", weight, crossed, crossed)
    second = np.einsum("l,lkamb,lmk->kamb", weight, inner, G)
    return np.asarray(2 * (first + second).real)


def _responses(frequency: Float64, blur: Float64, shifts: Float64) -> tuple[Complex, Complex]:
    """Response ``(L, K, s*s)`` of each frame to each HR frequency, and its derivatives ``(L, K, 2, s*s)``.

    Args:
        frequency: ``(2, s*s, L)``, cycles per LR pixel.
        blur: transfer function ``(s*s, L)``.
        shifts: ``(K, 2)``, LR pixels.
    """
    response = blur * np.exp(-2j * np.pi * np.einsum("ka,anl->knl", shifts, frequency))
    slope = -2j * np.pi * frequency * response[:, None]
    return response.transpose(2, 0, 1), slope.transpose(3, 0, 1, 2)


def _inverse(information: Float64) -> Float64:
    """Covariance of an information matrix; infinite where nothing is known along some direction."""
    try:
        return np.asarray(np.linalg.inv(information), dtype=float)
    except np.linalg.LinAlgError:
        return np.full_like(information, np.inf)


def _shifts(scene: SceneModel, shape_yx: tuple[int, int]) -> Float64:
    """Shift ``(K, 2)`` of every frame at the middle of the reference."""
    middle = (np.asarray(shape_yx) - 1) / 2
    return np.stack([forward_motion(motion, middle) - middle for motion in scene.registration.frames])


def _trust(scene: SceneModel) -> Float64:
    """Inverse noise variance ``(K, r)`` of each frame's eigen-images, in units of the scene."""
    motions = scene.registration.frames
    misfit = np.ones((len(motions), scene.subspace.rank)) if scene.misfit is None else scene.misfit
    return np.array([motion.weight * motion.gain**2 for motion in motions])[:, None] / misfit

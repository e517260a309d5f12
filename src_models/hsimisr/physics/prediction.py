"""What a frame would show if the refined result were true: ``A_k x``, in numpy, for a thread of the window.

Not by the solver's own operator: torch in a thread stalls the window, and the engine, which owns it, may be busy with
a run for minutes. Warp, blur and sampling are the same (the tests hold them against that operator); what lies beyond
the grid of the result is mirrored there, and the pixels that would see it are marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.geometry import View, hr_to_lr, lr_to_hr, translation
from hsimisr.physics.motion import invert_motion
from hsimisr.physics.psf import Psf
from hsimisr.physics.sampling import places_in_frame
from hsimisr.physics.types import Estimate, Float32, Float64, FrameMotion

Angles = npt.NDArray[np.floating]
MARGIN = 8
"""LR pixels around the window that are rendered too: what the FFT carries around its border stays in them."""
INSIDE = 1.5
"""LR pixels that a predicted pixel keeps from the border of the result: about as far as a PSF reaches."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A window of a frame as the estimate predicts it.

    Attributes:
        window: the predicted pixels of the frame.
        coefficients: eigen-images ``(r, h, w)`` of the scene as this frame sees it, without its gain and offset.
        ground: where its pixels lie in the reference frame ``(h, w, 2)``, LR pixels.
        known: ``(h, w)``, True where the estimate holds all that the pixel sees.
    """

    estimate: Estimate
    motion: FrameMotion
    window: View
    coefficients: Float32
    ground: Float64
    known: npt.NDArray[np.bool_]

    def bands(self, index: npt.NDArray[np.intp], rows: slice) -> Float32:
        """Bands ``(n, rows, w)`` of some rows of the window as the frame would measure them, data units."""
        out = self.estimate.subspace.expand(self.coefficients[:, rows], index)
        if self.estimate.residual is not None:
            places = np.moveaxis(self.ground[rows] - self.estimate.grid.origin_yx, -1, 0)
            out += np.stack([_linear(image, places) for image in self.estimate.residual[index]])
        out *= np.float32(self.motion.gain)
        if self.motion.offset is not None:
            out += self.motion.offset[index, None, None].astype(np.float32)
        return out

    def angles(
        self, measured: Float32, index: npt.NDArray[np.intp], rows: slice, noise: Float64
    ) -> tuple[Angles, Angles]:
        """Angles ``(rows, w)`` to what the frame measured, and those that noise alone makes, both in degrees.

        NaN where the estimate does not hold all that a pixel sees.

        Args:
            measured: bands ``(n, rows, w)`` of the frame.
            noise: standard deviation ``(B,)``, data units.
        """
        from hsimisr.metrics import spectral_angle  # only when asked: it loads scipy

        predicted, known = self.bands(index, rows), self.known[rows]
        norm, unit = unit_spectra(predicted)
        across = (noise[index, None, None] ** 2 * (1 - unit**2)).sum(0)
        found = spectral_angle(predicted, measured)
        return np.where(known, found, np.nan), np.where(known, turned_by(across, norm), np.nan)


def unit_spectra(spectra: Float32) -> tuple[Angles, Float32]:
    """Length ``(...)`` and direction ``(n, ...)`` of spectra; NaN where they are zero."""
    norm = np.sqrt((spectra.astype(np.float64) ** 2).sum(0))
    norm[norm == 0] = np.nan
    return norm, (spectra / norm).astype(np.float32)


def turned_by(across: npt.NDArray[np.floating], norm: Angles) -> Angles:
    """Degrees by which an error of variance `across` the spectrum, summed over its bands, turns it."""
    return np.asarray(np.degrees(np.arctan2(np.sqrt(np.maximum(across, 0)), norm)))


def window_of(motion: FrameMotion, view: View, shape_yx: tuple[int, int]) -> View | None:
    """The pixels of a frame of this shape that show a view of the reference, or None where it shows none of it."""
    places = places_in_frame(motion, view).reshape(-1, 2)
    low = np.maximum(np.floor(places.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(places.max(0)).astype(int) + 1, shape_yx)
    if (high <= low).any():
        return None
    return View(int(low[0]), int(high[0]), int(low[1]), int(high[1]))


def predict(estimate: Estimate, motion: FrameMotion, psf: str, window: View) -> Prediction:
    """Predict a window of a frame.

    Args:
        estimate: the refined scene.
        motion: of the frame, relative to the reference on whose grid the estimate lies.
        psf: specification text (see `hsimisr.physics.psf`).
        window: in pixels of the frame.
    """
    from scipy.ndimage import map_coordinates  # only when asked: the window imports this module

    s = estimate.grid.scale
    shape = tuple(n + 2 * MARGIN for n in window.shape)
    axes = [hr_to_lr(np.arange(n * s), s) + o - MARGIN for n, o in zip(shape, window.origin, strict=True)]
    seen = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    warp, order, fraction = motion, 3, np.zeros(2)
    if motion.is_shift:  # whole pixels need no interpolation, and the camera moves by the rest
        whole = np.rint(motion.shift)
        warp, order, fraction = FrameMotion(translation(whole)), 1, motion.shift - whole
    places = np.moveaxis(lr_to_hr(invert_motion(warp, seen) - estimate.grid.origin_yx, s), -1, 0)
    camera = _Camera(Psf.parse(psf), s, (shape[0] * s, shape[1] * s), fraction)
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    warped = (map_coordinates(image, places, order=order, mode="mirror", output=np.float32) for image in estimate.mean)
    coefficients = np.stack([camera.see(image)[inner] for image in warped])
    rows, columns = np.mgrid[window.y0 : window.y1, window.x0 : window.x1]
    ground = invert_motion(motion, np.stack([rows, columns], -1))
    return Prediction(estimate, motion, window, coefficients, ground, _known(estimate, ground))


class _Camera:
    """Blur and sampling of an HR image whose corner is that of its first LR pixel.

    Args:
        scale: HR pixels per LR pixel.
        shape: of the image, HR pixels.
        shift: how far down and right the frame shows the image, LR pixels.
    """

    def __init__(self, psf: Psf, scale: int, shape: tuple[int, int], shift: Float64) -> None:
        fy: Float64 = np.fft.fftfreq(shape[0]).astype(np.float64)  # cycles per HR pixel
        fx: Float64 = np.fft.rfftfreq(shape[1]).astype(np.float64)
        blur = psf.on_grid(fy[:, None] * scale, fx[None] * scale)
        y, x = (scale - 1) / 2 - shift * scale  # what LR pixel 0 shows, in HR pixels
        phase = np.exp(2j * np.pi * (y * fy[:, None] + x * fx[None]))
        modelled = (np.abs(fy) < 0.5 - 1e-9)[:, None] & (np.abs(fx) < 0.5 - 1e-9)[None]  # as `Canvas.unpaired`
        self._transfer = np.asarray(blur * phase * modelled, dtype=np.complex64)
        self._scale = scale

    def see(self, image: Float32) -> Float32:
        """LR image ``(h, w)`` of an HR image ``(s h, s w)``."""
        from scipy.fft import irfft2, rfft2

        out: Float32 = irfft2(rfft2(image) * self._transfer, s=image.shape)[:: self._scale, :: self._scale]
        return out


def _known(estimate: Estimate, ground: Float64) -> npt.NDArray[np.bool_]:
    """Which pixels with that ground ``(h, w, 2)`` see nothing but what the estimate was made for."""
    view = estimate.grid.view
    place = ground - view.origin
    inside = ((place >= INSIDE - 0.5) & (place <= np.array(view.shape) - 0.5 - INSIDE)).all(-1)
    if estimate.measured is not None:
        y, x = np.moveaxis(np.rint(place).astype(int), -1, 0)
        inside &= estimate.measured[y.clip(0, view.shape[0] - 1), x.clip(0, view.shape[1] - 1)]
    return np.asarray(inside)


def _linear(image: Float32, places: Float64) -> Float32:
    """Bilinear samples of an image at places ``(2, ...)`` in its pixels, its edges repeated."""
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(image, places, order=1, mode="nearest", output=np.float32))

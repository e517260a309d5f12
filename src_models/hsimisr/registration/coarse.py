"""Whole-pixel alignment: the offset at which the overlap of two frames agrees best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
PREFILTER = 0.8
"""Gaussian width, LR pixels, that takes out most of the aliasing: at half-pixel offsets it hides the right match, and a
striped scene then fits better one stripe away."""


def whole_pixel_shift(
    reference: Float32 | Float64,
    frame: Float32 | Float64,
    reference_mask: npt.NDArray[np.bool_],
    frame_mask: npt.NDArray[np.bool_],
    least_overlap: float = 0.25,
) -> npt.NDArray[np.int64]:
    """The shift ``(dy, dx)`` of `frame`, whole LR pixels, at which its overlap with `reference` is most likely.

    Every offset whose overlap is at least `least_overlap` of the smaller frame is compared, exactly, by
    correlations of masked images (Padfield, IEEE TIP 21(5), 2012). The score is the profile likelihood of each
    channel's difference against two unrelated images, so a small overlap that fits by chance does not win. Means over
    the overlap are removed: an offset in brightness does not matter. Frames may differ in size.

    Args:
        reference, frame: eigen-images ``(r, h, w)``.
    """
    (h0, w0), (h1, w1) = reference.shape[1:], frame.shape[1:]
    shape = next_fast_len(h0 + h1 - 1, real=True), next_fast_len(w0 + w1 - 1, real=True)
    m0, m1 = reference_mask.astype(float), frame_mask.astype(float)
    a, b = _smooth(reference, m0), _smooth(frame, m1)
    # spectra of left and right parts: the sum over p of left(p) right(p + d), for every d, is their product
    seen0, sum0, square0 = (rfft2(part, shape).conj() for part in (m0, a, a**2))
    seen1, sum1, square1 = (rfft2(part, shape) for part in (m1, b, b**2))
    count = np.maximum(irfft2(seen0 * seen1, shape), 1e-6)
    power = irfft2(square0 * seen1 + seen0 * square1 - 2 * sum0 * sum1, shape)
    difference = power - irfft2(sum0 * seen1 - seen0 * sum1, shape) ** 2 / count
    unrelated = a[:, reference_mask].var(1) + b[:, frame_mask].var(1) + 1e-12
    ratio = np.maximum(difference / count, 0) / unrelated[:, None, None]
    score = count * np.log(np.maximum(ratio, 1e-6)).sum(0)
    enough = count >= least_overlap * min(m0.sum(), m1.sum())
    best = np.unravel_index(np.where(enough, score, np.inf).argmin(), score.shape)
    return np.array([p - n if p >= h else p for p, n, h in zip(best, shape, (h1, w1), strict=True)], dtype=np.int64)


def _smooth(image: Float32 | Float64, mask: Float64) -> Float64:
    """Prefiltered images ``(r, h, w)`` that draw on measured pixels only, 0 where masked."""
    weight = gaussian_filter(mask, PREFILTER, mode="constant")
    total = gaussian_filter(image * mask, (0, PREFILTER, PREFILTER), mode="constant")
    return np.asarray(total / np.maximum(weight, 1e-6) * mask, dtype=np.float64)

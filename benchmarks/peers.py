"""Registration by other libraries, on the first eigen-image of every frame.

Each has the options that did best on the scenes of the data folder: a Hann window and whitening for the phase
correlation, no smoothing for ECC; the mean of all bands does no better than the first eigen-image. Optical flow starts
from the shift of the phase correlation, which hardly changes its median errors and lowers its worst; from ECC's affine
motion it does no better, and a prefilter makes it worse.
AROSICS is left out: it needs GDAL, which has no wheel on the package index and no build without the system's library.
Kornia is left out: it has no optical flow (issue 778 there), registers by one matrix for the whole image, and matches
densely only with weights that have to be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from skimage.registration import optical_flow_ilk, optical_flow_tvl1, phase_cross_correlation

from hsimisr.cube import FrameStack
from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Subspace

STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-8)
Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
FLOWS: dict[str, Flow] = {
    "tvl1": partial(optical_flow_tvl1, attachment=30),
    "ilk": partial(optical_flow_ilk, radius=5, gaussian=True),
}
"""Of scikit-image: total variation with an L1 data term, and iterative Lucas-Kanade, both coarse to fine."""


def first_images(stack: FrameStack, subspace: Subspace) -> list[np.ndarray]:
    """First eigen-image ``(h_k, w_k)`` of every frame."""
    return [subspace.project(frame.read())[0] for frame in stack.frames]


def phase_correlation(images: Sequence[np.ndarray], upsampling: int = 100) -> np.ndarray:
    """Shifts ``(K, 2)`` against the first image by scikit-image, on the pixels that frames of any size share."""
    shifts = []
    for image in images:
        h, w = np.minimum(images[0].shape, image.shape)
        window = np.outer(np.hanning(h), np.hanning(w))
        pair = (part[:h, :w] - part[:h, :w].mean() for part in (images[0], image))
        shifts.append(-phase_cross_correlation(*(part * window for part in pair), upsample_factor=upsampling)[0])
    return np.stack(shifts)


def enhanced_correlation(images: Sequence[np.ndarray], affine: bool) -> np.ndarray:
    """Motions ``(K, 3, 3)`` against the first image by OpenCV's ECC, from the whole-pixel peak of the correlation.

    Where ECC gives up, the motion stays at that start.
    """
    kind = cv2.MOTION_AFFINE if affine else cv2.MOTION_TRANSLATION
    template = np.ascontiguousarray(images[0], np.float32)
    motions = [np.eye(3)]
    for image, start in zip(images[1:], phase_correlation(images, 1)[1:], strict=True):
        guess = np.eye(2, 3, dtype=np.float32)
        guess[:, 2] = start[::-1]
        try:
            _, warp = cv2.findTransformECC(
                template, np.ascontiguousarray(image, np.float32), guess.copy(), kind, STEPS, None, 1
            )
        except cv2.error as error:
            if error.code != cv2.Error.StsNoConv:
                raise
            warp = guess
        motions.append(_in_rows_and_columns(warp))
    return np.stack(motions)


def optical_flow(images: Sequence[np.ndarray], flow: Flow) -> list[FrameMotion]:
    """Shift and local field against the first image, by what is left after the shift of the phase correlation."""
    reference = images[0]
    low, high = reference.min(), reference.max()
    pixels = np.indices(reference.shape)
    motions = [FrameMotion(np.eye(3))]
    for image, shift in zip(images[1:], phase_correlation(images)[1:], strict=True):
        shifted = map_coordinates(image, pixels + shift[:, None, None], order=3, mode="nearest")
        field = flow(*((part - low) / (high - low) for part in (reference, shifted)))
        motions.append(FrameMotion(translation(shift), field=field.astype(np.float32), model="local"))
    return motions


def _in_rows_and_columns(warp: np.ndarray) -> np.ndarray:
    """OpenCV's ``(2, 3)`` matrix on ``(x, y, 1)`` as a motion on ``(y, x, 1)``."""
    motion = translation(warp[::-1, 2])
    motion[:2, :2] = warp[::-1, 1::-1]
    return motion

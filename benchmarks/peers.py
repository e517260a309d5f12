"""Registration by other libraries, on the first eigen-image of every frame.

Each has the options that did best on the scenes of the data folder: a Hann window and whitening for the phase
correlation, no smoothing for ECC; the mean of all bands does no better than the first eigen-image.
AROSICS is left out: it needs GDAL, which has no wheel on the package index and no build without the system's library.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from skimage.registration import phase_cross_correlation

from hsimisr.cube import FrameStack
from hsimisr.geometry import translation
from hsimisr.physics.types import Subspace

STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-8)


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


def _in_rows_and_columns(warp: np.ndarray) -> np.ndarray:
    """OpenCV's ``(2, 3)`` matrix on ``(x, y, 1)`` as a motion on ``(y, x, 1)``."""
    motion = translation(warp[::-1, 2])
    motion[:2, :2] = warp[::-1, 1::-1]
    return motion

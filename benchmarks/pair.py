"""A real pair of sensors over Paris, Hyperion and ALI: where one image lies in the other, by us and by peers.

    python benchmarks/pair.py

The bands of ALI are predicted from Hyperion's by least squares, so that both sensors show the same channels, and the
offset is then found by the pairwise registration (after one more round of prediction from the aligned image) and by
peers on each channel: upsampled phase correlation and ECC. There is no truth: what counts is whether the offsets agree
within the stated error, for which the spread over channels is a second opinion.
"""

from __future__ import annotations

import numpy as np
import torch
from methods import DATA
from peers import enhanced_correlation, phase_correlation
from scipy.ndimage import shift as shifted

from hsimisr.geometry import translation
from hsimisr.io.open import open_cube
from hsimisr.physics.types import FrameMotion
from hsimisr.registration.displacement import Polynomial
from hsimisr.registration.gauss_newton import SmoothFrame, pair_motion


def main() -> None:
    file = DATA / "pairs" / "paris_data_hs_ms.mat"
    hyperion, ali = (open_cube(f"{file}:{name}").read() for name in ("HSim", "MSim"))
    mask = np.ones(ali.shape[1:], bool)
    basis = Polynomial.build("translation", ali.shape[1:], torch.device("cpu"))
    motion = FrameMotion(translation((0, 0)))
    for _ in range(3):
        predicted = predict(hyperion, ali, -motion.shift)
        frames = [SmoothFrame.build(image.astype(np.float32), mask, 1.0) for image in (predicted, ali)]
        found = pair_motion(frames[0], frames[1], motion, basis)
        motion = found.motion
    error = motion.covariance.diagonal() ** 0.5
    print(
        f"{len(ali)} channels of {ali.shape[1:]} pixels; content of ALI stands (y, x) further than in Hyperion, pixels"
    )
    print(f"pairwise, all channels: {told(motion.shift)} +- {told(error)}, mismatch {found.mismatch:.1%}")
    pairs = list(zip(predicted, ali, strict=True))
    for name, each in (
        ("phase correlation", np.array([phase_correlation(pair)[1] for pair in pairs])),
        ("ECC", np.array([enhanced_correlation(pair, affine=False)[1][:2, 2] for pair in pairs])),
    ):
        print(f"{name}: median {told(np.median(each, 0))}, spread {told(spread(each))} over channels")
    each = []
    for a, b in pairs:
        one = [SmoothFrame.build(image[None].astype(np.float32), mask, 1.0) for image in (a, b)]
        each.append(pair_motion(one[0], one[1], motion, basis).motion.shift)
    print(f"pairwise, one channel: median {told(np.median(each, 0))}, spread {told(spread(np.array(each)))}")


def predict(hyperion: np.ndarray, ali: np.ndarray, back: np.ndarray) -> np.ndarray:
    """ALI's channels as Hyperion would show them: ridge regression on the aligned images, unit variance."""
    aligned = np.stack([shifted(band, back, order=3, mode="nearest") for band in ali])
    inner = (slice(None), slice(4, -4), slice(4, -4))
    bands = hyperion / hyperion.std((1, 2), keepdims=True)
    x = bands[inner].reshape(len(hyperion), -1).T
    y = aligned[inner].reshape(len(ali), -1).T
    mean_x, mean_y = x.mean(0), y.mean(0)
    x = x - mean_x
    ridge = 1e-3 * np.trace(x.T @ x) / len(hyperion)
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(len(hyperion)), x.T @ (y - mean_y))
    return np.einsum("bc,bhw->chw", weights, bands - mean_x[:, None, None]) + mean_y[:, None, None]


def spread(values: np.ndarray) -> np.ndarray:
    """Robust standard deviation over channels."""
    return 1.4826 * np.median(np.abs(values - np.median(values, 0)), 0)


def told(pair: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:+.3f}" for value in pair) + ")"


if __name__ == "__main__":
    main()

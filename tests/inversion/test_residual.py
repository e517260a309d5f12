"""What the frames hold outside the subspace: kept where it is signal, dropped where it is noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hsimisr.geometry import View, apply_motion, translation
from hsimisr.inversion.residual import _bilinear, _wiener, out_of_subspace
from hsimisr.physics.types import FrameMotion, Registration, Subspace

BANDS, RANK = 10, 2
SHAPE = (40, 36)
VIEW = View(5, 35, 4, 32)
BAD = np.zeros(BANDS, bool)
BAD[4] = True
SIGMA = np.linspace(0.5, 2, BANDS)
SHIFTS = [(0.0, 0.0), (0.5, -0.5), (-1.0, 0.25), (0.3, 1.2)]


@pytest.fixture
def subspace():
    vectors = np.zeros((BANDS, RANK))
    vectors[~BAD] = np.linalg.qr(np.random.default_rng(0).standard_normal((BANDS - 1, RANK)))[0]
    return Subspace(np.where(BAD, np.nan, 20.0), np.where(BAD, np.nan, SIGMA), vectors, np.ones(RANK), BAD)


@pytest.fixture
def outside(subspace):
    """A spectrum (whitened) that the subspace does not hold."""
    v = np.random.default_rng(1).standard_normal(BANDS)
    v[BAD] = 0
    v -= subspace.vectors @ (subspace.vectors.T @ v)
    return v / np.linalg.norm(v)


def hill(shift=(0.0, 0.0)):
    """A smooth bump of the scene as a moved frame sees it; bilinear interpolation is off by curvature / 8."""
    y, x = np.indices(SHAPE)
    return np.exp(-((y - 20 - shift[0]) ** 2 + (x - 18 - shift[1]) ** 2) / (2 * 6.0**2))


def residual_of(subspace, frames, registration=None, masks=None):
    cubes = [np.asarray(f[~BAD], np.float32) for f in frames]
    masks = masks or [np.ones(SHAPE, bool)] * len(frames)
    registration = registration or Registration(tuple(FrameMotion(translation(s)) for s in SHIFTS[: len(frames)]))
    return out_of_subspace(cubes, masks, [(0, 0)] * len(frames), registration, subspace, VIEW)


def frames_of(spectrum, noise=0.0, seed=0):
    """Frames of a bump of a (whitened) spectrum on a ground of 20."""
    rng = np.random.default_rng(seed)
    return [
        20 + SIGMA[:, None, None] * (spectrum[:, None, None] * hill(s) + noise * rng.standard_normal((BANDS, *SHAPE)))
        for s in SHIFTS
    ]


def in_view(image):
    return image[VIEW.y0 : VIEW.y1, VIEW.x0 : VIEW.x1]


def test_what_the_subspace_holds_leaves_nothing(subspace):
    residual, _ = residual_of(subspace, frames_of(50 * subspace.vectors[:, 0]))
    # values of up to 100 in float32, through projections and sums
    assert np.abs(residual[~BAD]).max() < 100 * 2e-6


def test_strong_signal_outside_is_kept(subspace, outside):
    residual, _ = residual_of(subspace, frames_of(100 * outside))
    expected = SIGMA[:, None, None] * 100 * outside[:, None, None] * in_view(hill())
    # bilinear sampling at half a pixel loses curvature / 8 of an axis, 100 / 6^2 / 8 each; and the filter gives up what
    # it takes for noise: sigma^2 / 4 of each frequency's power, at most sigma / 2 where signal and noise are equal
    bound = SIGMA * (np.abs(outside) * 100 * 2 / 36 / 8 + 0.5)
    assert (np.abs(residual - expected)[~BAD].max((1, 2)) < bound[~BAD]).all()


def test_pure_noise_is_dropped(subspace):
    residual, variance = residual_of(subspace, frames_of(np.zeros(BANDS), noise=1.0))
    # the average of four frames has a standard deviation of half sigma; only rings that stand out by chance pass
    assert (residual[~BAD].std((1, 2)) < 0.25 * SIGMA[~BAD]).all()
    assert (variance[~BAD] < 0.25 * SIGMA[~BAD] ** 2).all()


def test_the_variance_is_that_of_what_passes(subspace, outside):
    """Repeated noise on one scene: the spread of the residual over draws."""
    draws = [residual_of(subspace, frames_of(30 * outside, noise=1.0, seed=seed)) for seed in range(12)]
    spread = np.stack([r[~BAD] for r, _ in draws]).var(0, ddof=1).mean((1, 2))
    promised = np.stack([v[~BAD] for _, v in draws]).mean(0)
    # a Wiener filter that reads its gains off the noise itself passes some of it by chance, and interpolated frames
    # have less noise than whole pixels: of the same order, never far more
    assert (spread < 3 * promised + 0.02 * SIGMA[~BAD] ** 2).all()


def test_bad_bands_are_nan_and_do_not_count(subspace, outside):
    residual, variance = residual_of(subspace, frames_of(outside))
    assert np.isnan(residual[BAD]).all()
    assert np.isnan(variance[BAD]).all()
    assert np.isfinite(residual[~BAD]).all()


def test_gain_and_offset_are_taken_out(subspace, outside):
    frames = frames_of(100 * outside)
    plain, _ = residual_of(subspace, frames)
    offset = np.linspace(-3, 3, BANDS)
    motions = [FrameMotion(translation(s)) for s in SHIFTS]
    motions[2] = FrameMotion(translation(SHIFTS[2]), gain=1.2, offset=np.where(BAD, np.nan, offset))
    frames[2] = 1.2 * frames[2] + offset[:, None, None]
    changed, _ = residual_of(subspace, frames, Registration(tuple(motions)))
    assert changed[~BAD] == pytest.approx(plain[~BAD], abs=200 * 2e-6)


def test_masked_pixels_do_not_count(subspace, outside):
    frames = frames_of(100 * outside)
    masks = [np.ones(SHAPE, bool) for _ in SHIFTS]
    masks[1][10:20, 10:20] = False
    plain, _ = residual_of(subspace, frames, masks=masks)
    frames[1][:, 10:20, 10:20] = 1e5
    changed, _ = residual_of(subspace, frames, masks=masks)
    assert np.array_equal(changed[~BAD], plain[~BAD])


def test_excluded_frames_do_not_count(subspace, outside):
    frames = frames_of(100 * outside)
    motions = [FrameMotion(translation(s)) for s in SHIFTS]
    plain, _ = residual_of(subspace, frames[:3], Registration(tuple(motions[:3])))
    motions[3] = FrameMotion(translation(SHIFTS[3]), excluded=True)
    changed, _ = residual_of(subspace, frames, Registration(tuple(motions)))
    assert np.array_equal(changed[~BAD], plain[~BAD])


@pytest.mark.parametrize("local", [False, True])
def test_resampling_is_bilinear_through_the_motion(local):
    rng = np.random.default_rng(0)
    image, start = rng.standard_normal((20, 22)), (3, 2)
    turn = np.eye(3)
    turn[:2, :2] += [[0.01, -0.02], [0.02, 0.0]]
    field = rng.uniform(-0.5, 0.5, (2, *SHAPE)).astype(np.float32) if local else None
    motion = FrameMotion(translation((0.4, -0.7)) @ turn, field=field)
    view = View(8, 16, 7, 18)
    found = (_bilinear(motion, view, start, np.ones(image.shape, bool)) @ image.ravel()).reshape(view.shape)
    rows, cols = np.meshgrid(np.arange(8, 16), np.arange(7, 18), indexing="ij")
    points = apply_motion(motion.matrix, np.stack([rows, cols], -1))
    if field is not None:
        points = points + np.moveaxis(field[:, 8:16, 7:18], 0, -1)
    expected = map_coordinates(image, np.moveaxis(points - start, -1, 0), order=1)
    assert found == pytest.approx(expected, abs=1e-5)  # float32 weights


def test_rows_tell_how_much_of_a_pixel_was_measured():
    mask = np.ones((6, 6), bool)
    mask[2, 2] = False
    share = _bilinear(FrameMotion(translation((0.5, 0.0))), View(0, 6, 0, 6), (0, 0), mask).sum(1).reshape(6, 6)
    expected = np.ones((6, 6))
    expected[5] = 0.5  # half outside
    expected[[1, 2], 2] = 0.5  # half of a masked pixel
    assert share == pytest.approx(expected)


def test_the_filter_shrinks_by_the_share_of_noise():
    """White noise of known variance is dropped; ten thousand times it is kept."""
    image = np.random.default_rng(0).standard_normal((1, 40, 44)).astype(np.float32)
    kept, variance = _wiener(image, np.array([1e-4]))
    # gains are 1 less a ten-thousandth; rings of few values vary by a factor of a few
    assert kept == pytest.approx(image, abs=np.abs(image).max().item() * 1e-2)
    assert variance == pytest.approx([1e-4], rel=1e-2)
    dropped, variance = _wiener(image, np.array([10.0]))
    assert np.abs(dropped).max() < 1e-6
    assert variance == pytest.approx([0.0], abs=1e-9)

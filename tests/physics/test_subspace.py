"""The spectral subspace: orthonormal, of the right rank and sign, blind to bad bands and masked pixels."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.errors import ConfigError
from hsimisr.physics.config import MAX_RANK
from hsimisr.physics.subspace import estimate_subspace

BANDS, RANK = 20, 4
SHAPES = [(30, 32), (28, 35)]
SIGMA = np.linspace(0.5, 2.0, BANDS)
GOOD = np.zeros(BANDS, bool)


def scene(noise=1.0, seed=0):
    """Frames of `RANK` spectra with well separated strengths, in noise of `SIGMA`, and the whitened basis."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((BANDS, RANK)))[0] * np.array([40, 20, 10, 5])
    frames = []
    for shape in SHAPES:
        signal = np.tensordot(basis, rng.standard_normal((RANK, *shape)), 1) + noise * rng.standard_normal(
            (BANDS, *shape)
        )
        frames.append((100 + SIGMA[:, None, None] * signal).astype(np.float32))
    return frames, basis


def seen():
    return [np.ones(shape, bool) for shape in SHAPES]


def test_vectors_are_orthonormal_with_their_largest_component_positive():
    subspace = estimate_subspace(scene()[0], seen(), SIGMA, GOOD)
    assert subspace.vectors.T @ subspace.vectors == pytest.approx(np.eye(subspace.rank), abs=1e-12)
    largest = np.abs(subspace.vectors).argmax(0)
    assert (subspace.vectors[largest, np.arange(subspace.rank)] > 0).all()


def test_the_signal_is_spanned_and_its_rank_found():
    frames, basis = scene()
    subspace = estimate_subspace(frames, seen(), SIGMA, GOOD)
    assert subspace.rank == RANK
    inside = subspace.vectors @ (subspace.vectors.T @ basis)
    # an eigenvector of signal l among n pixels of unit noise in B bands turns by about sqrt(B / (n l)) (Davis, Kahan)
    turn = np.sqrt(BANDS / (sum(a * b for a, b in SHAPES) * 25))
    assert np.linalg.norm(inside - basis, axis=0) / np.linalg.norm(basis, axis=0) == pytest.approx(
        np.zeros(RANK), abs=3 * turn
    )


def test_eigenvalues_are_the_variances_of_the_coefficients():
    frames, _ = scene()
    subspace = estimate_subspace(frames, seen(), SIGMA, GOOD)
    pixels = np.concatenate([subspace.project(f).reshape(RANK, -1) for f in frames], 1)
    # coefficients of up to 150 come from float32 values of 100 / 0.5
    assert pixels.mean(1) == pytest.approx(np.zeros(RANK), abs=1e-3)
    assert pixels.var(1) == pytest.approx(subspace.eigenvalues, rel=1e-4)
    assert (np.diff(subspace.eigenvalues) < 0).all()


def test_pure_noise_leaves_the_least_rank_and_clean_frames_at_most_the_largest():
    rng = np.random.default_rng(0)
    noise = [(SIGMA[:, None, None] * rng.standard_normal((BANDS, *shape))).astype(np.float32) for shape in SHAPES]
    assert estimate_subspace(noise, seen(), SIGMA, GOOD).rank == 1
    assert estimate_subspace(noise, seen(), SIGMA / 10, GOOD).rank == MAX_RANK


def test_masked_pixels_do_not_count():
    frames, _ = scene()
    masks = seen()
    masks[1][5:20, 5:20] = False
    plain = estimate_subspace(frames, masks, SIGMA, GOOD)
    frames[1][:, 5:20, 5:20] = 1e6
    assert np.array_equal(estimate_subspace(frames, masks, SIGMA, GOOD).vectors, plain.vectors)


def test_bad_bands_are_no_part_of_it():
    bad = GOOD.copy()
    bad[[3, 11]] = True
    frames = [f[~bad] for f in scene()[0]]
    subspace = estimate_subspace(frames, seen(), SIGMA[~bad], bad)
    assert subspace.bands == BANDS
    assert (subspace.vectors[bad] == 0).all()
    assert np.isnan(subspace.mean[bad]).all()
    assert np.isnan(subspace.sigma[bad]).all()
    assert np.isnan(subspace.expand(subspace.project_good(frames[0]))[bad]).all()


def test_a_projection_and_back_leaves_what_stands_out_of_the_noise():
    """Of the noise, the part rank / B stays."""
    frames, _ = scene()
    clean, _ = scene(noise=0.0)
    # scene() draws signal and noise in turn, so only the first frame's signal is the same without noise
    subspace = estimate_subspace(frames, seen(), SIGMA, GOOD)
    error = (subspace.expand(subspace.project(frames[0])) - clean[0]) / SIGMA[:, None, None]
    n = error.size * RANK / BANDS
    turned = BANDS / sum(a * b for a, b in SHAPES)  # what an uncertain subspace loses of a pixel's signal, per vector
    assert (error**2).mean() == pytest.approx(RANK / BANDS, rel=5 * np.sqrt(2 / n) + turned * BANDS / RANK)


@pytest.mark.parametrize("rank", [0, -1, 17, BANDS + 1])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(ConfigError, match=r"subspace.rank"):
        estimate_subspace(scene()[0], seen(), SIGMA, GOOD, rank)


def test_a_rank_that_is_asked_for_is_given():
    assert estimate_subspace(scene()[0], seen(), SIGMA, GOOD, 7).rank == 7

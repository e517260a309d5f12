"""The table of widths: between strata, beyond them, and what it does to error bars."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.physics.types import Subspace
from hsimisr.uncertainty.heldout import Told
from hsimisr.uncertainty.widths import NARROWEST, WIDEST, Width, Widths, shipped_widths, snr_of


@pytest.fixture
def widths():
    """log variance 100 scale + 10 log2(frames) + SNR, so that every stratum is another one."""
    table = [[[100 * s + 10 * k + snr for snr in (20, 40)] for k in (0, 1, 3)] for s in (2, 4)]
    slope = np.zeros((2, 3, 2))
    slope[:, 1] = 0.8
    about = {"scales": [2, 4], "frames": [1, 2, 8], "snrs": [20, 40], "log_variance": table, "slope": slope.tolist()}
    return Widths.of(about)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((2, 1, 20), 220),
        ((4, 8, 40), 470),
        ((2, 2, 30), 240),  # half-way between SNRs
        ((2, 4, 20), 240),  # half-way between 2 and 8 frames, as ratios go
        ((2, 20, 50), 270),  # the last stratum holds on
        ((1, 1, 10), 220),
        ((8, 1, 20), 420),
    ],
)
def test_it_is_interpolated_between_strata(widths, asked, expected):
    assert widths.at(*asked).log_variance == pytest.approx(expected)


def test_slopes_fade_out_with_more_frames(widths):
    assert [widths.at(2, frames, 30).slope for frames in (1, 2, 4, 8, 16)] == pytest.approx([0, 0.8, 0.4, 0, 0])


def test_untold_bars_take_what_other_scenes_wanted():
    assert Width(np.log(1.44), 0.5).of(3, None) == pytest.approx(np.full(3, 1.2))


def test_told_bars_widen_and_narrow_with_the_square_root_of_the_variance():
    told = Told(np.array([1.5, 1.0, 0.6]), np.zeros(3))
    assert Width(0.0, 1.0).of(3, told) == pytest.approx(np.exp([0.25, 0.0, -0.2]))


def test_there_are_limits():
    told = Told(np.array([90.0, 0.0]), np.zeros(2))
    assert Width(0.0, 3.0).of(2, told) == pytest.approx([WIDEST, max(np.exp(-1.5), NARROWEST)])


def test_the_shipped_table_is_sane():
    """It has all strata, trusts held-out frames where there are few, and never calls for the limits by itself."""
    table = shipped_widths()
    assert table.log_variance.shape == table.slope.shape == (len(table.scales), len(table.frames), len(table.snrs))
    factor = np.exp(table.log_variance / 2)
    assert factor.min() > NARROWEST
    assert factor.max() < WIDEST
    assert (table.slope >= 0).all()
    assert table.at(2, 1, 30).slope == 0  # nothing to hold out


def test_the_snr_is_that_of_the_median_good_band():
    rng = np.random.default_rng(0)
    sigma = np.array([0.1, 1.0, 2.0, np.nan])
    vectors = np.linalg.qr(rng.normal(size=(3, 2)))[0]
    coefficients = rng.normal(size=(2, 4000)) * [[30.0], [8.0]]
    coefficients -= coefficients.mean(1, keepdims=True)
    mean = np.array([2.0, 40.0, 100.0, np.nan])
    values = mean[:3, None] + sigma[:3, None] * (vectors @ coefficients)
    covariance = np.cov(coefficients, bias=True)
    turn, eigenvalues = np.linalg.eigh(covariance)[1], np.linalg.eigvalsh(covariance)
    subspace = Subspace(
        mean, sigma, np.vstack([vectors @ turn, np.zeros(2)]), eigenvalues, np.array([False, False, False, True])
    )
    expected = np.median(20 * np.log10(np.sqrt((values**2).mean(1)) / sigma[:3]))
    assert snr_of(subspace) == pytest.approx(expected, abs=1e-6)

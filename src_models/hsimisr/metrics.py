"""Figures of merit of a refined cube against a truth: PSNR, SSIM, SAM, SID and ERGAS, per band and as means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hsimisr.errors import StackError

Image = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]

SSIM_RADIUS = 5  # of the 11 x 11 window with sigma 1.5 in Wang et al. 2004
SID_FLOOR = 1e-6  # of a spectrum's largest value; the divergence is not defined at zero


@dataclass(frozen=True, eq=False)
class Scores:
    """How close an estimate is to the truth.

    The means run over the good bands: finite everywhere in both cubes, with a truth that is positive somewhere.

    Attributes:
        psnr: mean over bands, dB; the peak is the truth's maximum in each band.
        ssim: mean over bands.
        sam: mean spectral angle, degrees, over pixels whose spectrum is not zero in either cube.
        sid: mean spectral information divergence, over the same pixels.
        ergas: relative dimensionless global error, with the factor 100 / scale.
        rmse: root mean square error over bands and pixels, data units.
        psnr_bands, ssim_bands, rmse_bands: ``(B,)``, NaN at bands that do not count.
        border: HR pixels left out on each side.
    """

    psnr: float
    ssim: float
    sam: float
    sid: float
    ergas: float
    rmse: float
    psnr_bands: Float64
    ssim_bands: Float64
    rmse_bands: Float64
    border: int

    @property
    def bands(self) -> int:
        """Number of bands that count."""
        return int(np.isfinite(self.rmse_bands).sum())

    def summary(self) -> dict[str, float]:
        """The means by name, for tables and JSON."""
        return {name: getattr(self, name) for name in ("psnr", "ssim", "sam", "sid", "ergas", "rmse")}


def evaluate(truth: Image, estimate: Image, scale: int, border: int | None = None) -> Scores:
    """Compare an estimate with the truth.

    Args:
        truth, estimate: cubes ``(B, H, W)`` on the same HR grid, same units.
        scale: HR pixels per LR pixel along one axis; enters ERGAS and the border.
        border: HR pixels to leave out on each side; 2 * scale by default.

    Raises:
        StackError: the shapes differ, too few pixels are left, or no band can be compared.
    """
    if truth.shape != estimate.shape or truth.ndim != 3:
        raise StackError(
            f"the truth has shape {truth.shape} and the estimate {estimate.shape}; both must be (band, y, x) "
            "on the same grid: give the truth of the refined view, at the refined scale"
        )
    border = 2 * scale if border is None else border
    inner = (slice(None), *(slice(border, size - border) for size in truth.shape[1:]))
    if min(truth.shape[1:]) - 2 * border <= 2 * SSIM_RADIUS:
        raise StackError(
            f"{truth.shape[1]} x {truth.shape[2]} pixels less a border of {border} leave no room for the 11 x 11 "
            "window of SSIM; compare a larger view"
        )
    truth, estimate = truth[inner], estimate[inner]
    good = [b for b in range(len(truth)) if _comparable(truth[b], estimate[b])]
    if not good:
        raise StackError("no band is finite everywhere in both the truth and the estimate; nothing can be compared")

    psnr, ssim, rmse = (np.full(len(truth), np.nan) for _ in range(3))
    relative = []
    for b in good:
        x, y = truth[b].astype(float), estimate[b].astype(float)
        peak = float(x.max())
        rmse[b] = np.sqrt(np.mean((x - y) ** 2))
        psnr[b] = 20 * np.log10(peak / rmse[b]) if rmse[b] > 0 else np.inf
        ssim[b] = _ssim(x, y, peak)
        relative.append(rmse[b] / x.mean())
    truth, estimate = truth[good], estimate[good]
    return Scores(
        psnr=float(psnr[good].mean()),
        ssim=float(ssim[good].mean()),
        sam=_mean(spectral_angle(truth, estimate)),
        sid=_mean(information_divergence(truth, estimate)),
        ergas=float(100 / scale * np.sqrt(np.mean(np.square(relative)))),
        rmse=float(np.sqrt(np.mean(rmse[good] ** 2))),
        psnr_bands=psnr,
        ssim_bands=ssim,
        rmse_bands=rmse,
        border=border,
    )


def spectral_angle(a: Image, b: Image) -> Float64:
    """Spectral angle map in degrees of cubes ``(B, ...)``; NaN where a spectrum is zero.

    Kruse et al., Remote Sensing of Environment 44, 1993, eq. 1. The half-angle form (Kahan) is used because the
    arc cosine has no digits left at small angles.
    """
    norm_a, norm_b = (np.sqrt(sum(band.astype(float) ** 2 for band in cube)) for cube in (a, b))
    difference, total = np.zeros(a.shape[1:]), np.zeros(a.shape[1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        for band_a, band_b in zip(a, b, strict=True):
            unit_a, unit_b = band_a / norm_a, band_b / norm_b
            difference += (unit_a - unit_b) ** 2
            total += (unit_a + unit_b) ** 2
    return np.asarray(np.degrees(2 * np.arctan2(np.sqrt(difference), np.sqrt(total))))


def information_divergence(a: Image, b: Image) -> Float64:
    """Spectral information divergence map (natural logarithm) of cubes ``(B, ...)``; NaN where a spectrum is zero.

    Chang, IEEE Trans. Information Theory 46(5), 2000, eq. 8. A spectrum is read as a probability distribution, so
    values below `SID_FLOOR` of its largest one (noise may push them under zero) are raised to that.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        (floor_a, sum_a), (floor_b, sum_b) = _as_distribution(a), _as_distribution(b)
        divergence = np.zeros(a.shape[1:])
        for band_a, band_b in zip(a, b, strict=True):
            p, q = np.maximum(band_a, floor_a) / sum_a, np.maximum(band_b, floor_b) / sum_b
            divergence += (p - q) * np.log(p / q)
    return divergence


def _as_distribution(cube: Image) -> tuple[Float64, Float64]:
    floor = SID_FLOOR * np.max(cube, axis=0).astype(float)
    floor[floor <= 0] = np.nan
    return floor, np.asarray(sum(np.maximum(band, floor) for band in cube))


def _comparable(truth: Image, estimate: Image) -> bool:
    return bool(np.isfinite(truth).all() and np.isfinite(estimate).all() and truth.max() > 0)


def _ssim(x: Float64, y: Float64, peak: float) -> float:
    """Structural similarity with a Gaussian window (Wang et al., IEEE Trans. Image Processing 13(4), 2004, eq. 13)."""

    def local_mean(image: Float64) -> Float64:
        return np.asarray(gaussian_filter(image, sigma=1.5, radius=SSIM_RADIUS))

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = local_mean(x), local_mean(y)
    vx, vy, vxy = local_mean(x * x) - mx * mx, local_mean(y * y) - my * my, local_mean(x * y) - mx * my
    index = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(index[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS].mean())


def _mean(values: Float64) -> float:
    """Mean of the finite values; NaN where there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")

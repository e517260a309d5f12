"""Knobs of the observation model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hsimisr.settings import Settings

MAX_RANK = 16
AUTO = "auto"
"""In place of a PSF: find it from the frames."""
FORMS = (
    "box, mtf:<0.01 to 0.63>, gauss:<FWHM in LR pixels> or bicubic; mtf and gauss also take two axes and an angle, "
    "as in gauss:1.2,0.9,30"
)


class SubspaceConfig(Settings):
    """The spectral subspace that the frames are inverted in."""

    rank: int | Literal["auto"] = Field("auto", description="number of eigen-images, or auto (up to 16)")
    residual: bool = Field(True, description="keep the low-pass spectral information outside the subspace")


def check_psf(text: str) -> str:
    """Validate a PSF specification; raises ValueError that names the accepted forms."""
    psf_numbers(text)
    return text


def check_psf_choice(text: str) -> str:
    """Validate a PSF specification or `auto`; raises ValueError that names the accepted forms."""
    if text != AUTO:
        try:
            check_psf(text)
        except ValueError as error:
            raise ValueError(f"{error}, or auto to find it from the frames") from None
    return text


def psf_numbers(text: str) -> tuple[float, ...]:
    """The numbers of a PSF specification: none, one, or one along each axis and an angle in degrees.

    Raises:
        ValueError: the text is no PSF; names the accepted forms.
    """
    kind, _, values = text.partition(":")
    if kind in ("box", "bicubic") and not values:
        return ()
    if text == AUTO:
        raise ValueError(f"a PSF is needed here, which auto is not: give one of {FORMS}")
    limits = {"mtf": (0.01, 0.63), "gauss": (0.05, 10.0)}.get(kind)
    try:
        numbers = tuple(float(value) for value in values.split(","))
    except ValueError:
        numbers = ()
    if limits is not None and len(numbers) in (1, 3):
        low, high = limits
        if all(low <= number <= high for number in numbers[:2]) and all(abs(angle) <= 180 for angle in numbers[2:]):
            return numbers
    raise ValueError(f"PSF {text!r} is not one of {FORMS}")

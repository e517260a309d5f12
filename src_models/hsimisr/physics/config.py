"""Knobs of the observation model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hsimisr.settings import Settings

MAX_RANK = 16


class SubspaceConfig(Settings):
    """The spectral subspace that the frames are inverted in."""

    rank: int | Literal["auto"] = Field("auto", description="number of eigen-images, or auto (up to 16)")
    residual: bool = Field(True, description="keep the low-pass spectral information outside the subspace")


def check_psf(text: str) -> str:
    """Validate a PSF specification; raises ValueError that names the accepted forms."""
    kind, _, value = text.partition(":")
    forms = "box, mtf:<0.01 to 0.63>, gauss:<FWHM in LR pixels> or bicubic"
    if kind in ("box", "bicubic") and not value:
        return text
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"PSF {text!r} is not one of {forms}") from None
    if kind == "mtf" and 0.01 <= number <= 0.63:
        return text
    if kind == "gauss" and 0.05 <= number <= 10:
        return text
    raise ValueError(f"PSF {text!r} is not one of {forms}")

"""A spectral library: named spectra on common wavelengths, as every reader gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsimisr.cube import Vector
from hsimisr.errors import ReadError


@dataclass(frozen=True, eq=False)
class SpectralLibrary:
    """Named spectra, sorted by wavelength.

    Attributes:
        names: of the n spectra.
        wavelengths: ``(b,)``, nanometres, ascending.
        values: ``(n, b)`` in the file's units, NaN where a spectrum has none.
        source: the file, for messages.

    Raises:
        ReadError: sizes that do not fit, or no wavelengths.
    """

    names: tuple[str, ...]
    wavelengths: Vector
    values: Vector
    source: str

    def __post_init__(self) -> None:
        wavelengths, values = np.asarray(self.wavelengths, float), np.asarray(self.values, float)
        if wavelengths.ndim != 1 or values.shape != (len(self.names), len(wavelengths)) or not values.size:
            raise ReadError(
                f"{self.source}: {len(self.names)} spectra on {wavelengths.size} wavelengths do not fit values of "
                f"shape {values.shape}; the file may be cut off"
            )
        if not (np.isfinite(wavelengths).all() and (wavelengths > 0).all()):
            raise ReadError(f"{self.source}: a wavelength is missing or not above 0; correct the file")
        order = np.argsort(wavelengths, kind="stable")
        object.__setattr__(self, "wavelengths", wavelengths[order])
        object.__setattr__(self, "values", values[:, order])

    def __len__(self) -> int:
        return len(self.names)

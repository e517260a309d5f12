"""Libraries that a test can write down in full."""

from __future__ import annotations

import numpy as np
import pytest

from hsimisr.spectra.library import SpectralLibrary


@pytest.fixture
def library() -> SpectralLibrary:
    """Three spectra on uneven wavelengths, smooth enough for integrals to be checked by brute force."""
    wavelengths = 400 + 1000 * np.linspace(0, 1, 160) ** 1.3
    values = np.stack(
        [1 + 0.3 * np.sin(wavelengths / 60), wavelengths / 700, np.exp(-(((wavelengths - 800) / 90) ** 2))]
    )
    return SpectralLibrary(("waves", "ramp", "bump"), wavelengths, values, "made by hand")

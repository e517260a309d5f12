"""NumPy archives: `cube` and `std` with the axes (band, y, x), `determined` (y, x), and the metadata as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsimisr.cube import Cube
from hsimisr.io.choose import DETERMINED, STD
from hsimisr.io.compute import values
from hsimisr.io.read_numpy import RECORD


def write(path: Path, cube: Cube, std: Cube | None, record: str, determined: npt.NDArray[np.float32] | None) -> None:
    """Write the archive; the cube has to fit into memory."""
    arrays: dict[str, Any] = {"cube": values(cube.data), RECORD: np.array(record), "bad_bands": cube.bad}
    if std is not None:
        arrays[STD] = values(std.data)
    if determined is not None:
        arrays[DETERMINED] = determined
    if cube.wavelengths is not None:
        arrays["wavelength_nm"] = cube.wavelengths
    if cube.fwhm is not None:
        arrays["fwhm_nm"] = cube.fwhm
    np.savez(path, **arrays)  # noisy numbers shrink by a tenth at best, and take most of the time

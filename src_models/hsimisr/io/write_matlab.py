"""MATLAB 5 files: `cube` and `std` with MATLAB's usual axes (y, x, band), `determined` (y, x), the metadata as
variables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import savemat

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.io.choose import DETERMINED, STD
from hsimisr.io.compute import values
from hsimisr.io.read_matlab import RECORD

LARGEST = 2**31 - 1  # bytes of one variable in this format


def write(path: Path, cube: Cube, std: Cube | None, record: str, determined: npt.NDArray[np.float32] | None) -> None:
    """Write the file; the cube has to fit into memory."""
    variables: dict[str, Any] = {RECORD: record, "bad_bands": cube.bad.astype(np.uint8)}
    for name, image in (("cube", cube), (STD, std)):
        if image is None:
            continue
        if image.data.nbytes > LARGEST:
            raise WriteError(f"{path.name}: MATLAB 5 files hold at most 2 GiB a variable; save as .nc or .zarr")
        if image.data.dtype.kind not in "uif" or image.data.dtype == np.float16:
            raise WriteError(f"{path.name}: MATLAB has no type {image.data.dtype}; convert the cube to float32")
        variables[name] = np.moveaxis(values(image.data), 0, -1)
    if determined is not None:
        variables[DETERMINED] = determined
    if cube.wavelengths is not None:
        variables["wavelength_nm"] = cube.wavelengths
    if cube.fwhm is not None:
        variables["fwhm_nm"] = cube.fwhm
    savemat(path, variables, do_compression=True)

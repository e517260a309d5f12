"""Make the sample frames: a synthetic town seen eight times by a camera with half the resolution.

Run ``python sample_data/make.py`` to write the files of this folder again; the result is the same every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsimisr.cube import Cube
from hsimisr.io.record import to_record
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate

SCALE = 2
PSF = "mtf:0.29"
SNR = 30.0  # dB
STEP = 0.001  # reflectance of one count; a fifth of the smallest noise


def main(folder: Path = Path(__file__).parent) -> None:
    """Write the frames and the truth."""
    scene = town((114, 114), bands=60, seed=1)
    simulation = simulate(scene.cube, SCALE, frames=8, psf=PSF, snr=SNR, motion="shift", seed=0)
    provenance = {"simulated": {"scale": SCALE, "psf": PSF, "snr": SNR, "motion": "shift", "seed": 0}}
    for name, cube in (("frames", simulation.frames), ("truth", simulation.truth)):
        counts = np.rint(cube / STEP).clip(0, 65535).astype(np.uint16)
        described = Cube.from_array(simulation.truth, wavelengths=scene.wavelengths, scale_factor=STEP)
        np.savez_compressed(
            folder / f"{name}.npz",
            cube=counts,
            wavelength_nm=scene.wavelengths,
            shifts=simulation.motions[:, :2, 2],
            record=to_record(described, provenance),
        )


if __name__ == "__main__":
    main()

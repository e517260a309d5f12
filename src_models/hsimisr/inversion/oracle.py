"""The oracle: this LMMSE, same rank and canvas, told the true motion and the truth's own power spectrum.

The yardstick for every result that had to find motion and prior by itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsimisr.inversion.prior import radial_frequencies, spectrum_of
from hsimisr.physics.types import Registration, SceneModel


def oracle_scene(scene: SceneModel, truth: npt.NDArray[np.float32], registration: Registration) -> SceneModel:
    """The scene model with the true motion and the radial spectrum of the truth ``(B, H, W)``, data units."""
    shape = truth.shape[1] // scene.scale, truth.shape[2] // scene.scale
    frequency = radial_frequencies(scene.scale, shape)
    images = scene.subspace.project(truth)
    prior = spectrum_of(images, scene.scale, frequency)
    return replace(scene, registration=registration, prior=prior, misfit=None)

"""The sample frames are what their recipe makes, and small."""

from __future__ import annotations

import runpy

import numpy as np

from hsimisr.io.open import open_cube, open_frames


def test_recipe_makes_the_files_that_are_there(sample_data, tmp_path):
    runpy.run_path(str(sample_data / "make.py"))["main"](tmp_path)
    for name in ("frames.npz", "truth.npz"):
        with np.load(sample_data / name) as kept, np.load(tmp_path / name) as made:
            assert set(kept) == set(made)
            assert kept["cube"].shape == made["cube"].shape
            # another processor may round a count the other way, here and there
            difference = np.abs(kept["cube"].astype(int) - made["cube"])
            assert difference.max() <= 1
            assert difference.mean() < 1e-3


def test_sample_stays_small(sample_data):
    assert sum(file.stat().st_size for file in sample_data.iterdir()) < 2.5e6


def test_sample_opens_as_a_stack_with_its_wavelengths_and_units(sample_data):
    stack = open_frames([sample_data / "frames.npz"])
    truth = open_cube(sample_data / "truth.npz")
    assert len(stack) == 8
    assert truth.shape_yx == tuple(2 * size for size in stack.reference_frame.shape_yx)
    assert np.array_equal(truth.wavelengths, stack.reference_frame.wavelengths)
    assert truth.scale_factor == stack.reference_frame.scale_factor == 0.001
    # frames and truth show the same place in the same units
    assert abs(truth.read().mean() / stack.reference_frame.read().mean() - 1) < 0.01

"""Sample data: shifted frames that the project generated itself, and the truth behind them."""

from __future__ import annotations

from pathlib import Path

from hsimisr.cube import Cube
from hsimisr.io.open import open_cube, open_frames
from napari_hsimisr.layers import LayerData, frame_layers

FOLDER = Path(__file__).parent / "sample_data"
FRAMES = FOLDER / "frames.npz"


def sample_frames() -> list[LayerData]:
    """One layer per frame."""
    return frame_layers(open_frames([FRAMES]).frames)


def sample_truth() -> Cube:
    """The scene the frames were simulated from, on the reference's footprint."""
    return open_cube(FOLDER / "truth.npz")

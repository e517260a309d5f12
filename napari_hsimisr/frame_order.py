"""The order of frames: that of their layers, whatever other layers lie between them."""

from __future__ import annotations

from napari.layers import Image

from napari_hsimisr.session import Session


def move_frame(session: Session, layer: Image, by: int) -> None:
    """Let a frame change places with the one `by` further on, if there is one."""
    frames, layers = session.frames, session.viewer.layers
    if layer not in frames or not 0 <= frames.index(layer) + by < len(frames):
        return
    other = frames[frames.index(layer) + by]
    low, high = sorted((layers.index(layer), layers.index(other)))
    layers.move(high, low)
    layers.move(low + 1, high + 1)  # counted before the layer is taken out

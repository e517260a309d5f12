"""A scene model comes back from its file as it was."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest

from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Registration
from hsimisr.pipeline.scene_file import digest, read_scene, write_scene


def test_every_number_comes_back_to_the_last_bit(finished, tmp_path):
    frames = list(finished.scene.registration.frames)
    frames[1] = replace(frames[1], field=np.ones((2, 5, 4), np.float32), excluded=True, reason="a cloud, 雲")
    scene = replace(finished.scene, registration=replace(finished.scene.registration, frames=tuple(frames)))
    write_scene(tmp_path / "scene.npz", scene)
    back = read_scene(tmp_path / "scene.npz")
    # equal bytes: the same classes, fields, types and bits
    assert pickle.dumps(_plain(back)) == pickle.dumps(_plain(scene))
    assert list(tmp_path.iterdir()) == [tmp_path / "scene.npz"]


def test_a_file_that_could_run_code_is_not_read(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, structure=np.array([print], dtype=object))
    (tmp_path / "scene.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="allow_pickle"):
        read_scene(tmp_path / "scene.npz")


def test_other_motion_has_another_digest():
    motions = [Registration((FrameMotion(np.eye(3)), FrameMotion(translation(shift)))) for shift in ((0, 1), (0, 1.5))]
    assert digest(motions[0]) != digest(motions[1])
    assert digest(motions[0]) == digest(Registration((FrameMotion(np.eye(3)), FrameMotion(translation((0, 1))))))


def _plain(value):
    """Nested tuples that tell types and bytes."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return type(value).__name__, tuple(_plain(getattr(value, name)) for name in value.__dataclass_fields__)
    return repr(value)

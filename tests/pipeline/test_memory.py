"""What is planned with the memory there is, and what is said when there is not enough."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import MemoryLimitError
from hsimisr.geometry import MARGIN, View
from hsimisr.physics.canvas import Canvas
from hsimisr.physics.psf import Psf
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from hsimisr.physics.types import FrameMotion
from hsimisr.physics.warp import WarpOperator
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.memory import LARGEST, SHARE, WARPS_OF_SCENE, tile_bytes, tile_side
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.scene import estimate_scene
from hsimisr.pipeline.tiles import SMALLEST

VIEW = View(0, 400, 0, 300)
SIZES = {"frames": 8, "bands": 100, "rank": 8, "scale": 2}


def test_plenty_of_memory_takes_the_largest_tile_and_small_views_one():
    assert tile_side(VIEW, **SIZES, free=10**13) == LARGEST
    assert tile_side(View(0, 30, 0, 40), **SIZES, free=10**13) == 40


@pytest.mark.parametrize("free", [10**8, 3 * 10**8, 10**9])
def test_tiles_fit_into_their_share(free):
    side = tile_side(VIEW, **SIZES, free=free)
    assert tile_bytes(side, **SIZES) <= SHARE * free
    assert side >= SMALLEST


@pytest.mark.parametrize(
    "more", [{"frames": 16}, {"bands": 200}, {"rank": 16}, {"scale": 4}, {"side": 100}, {"learned": True}, {"warps": 4}]
)
def test_more_of_anything_needs_more(more):
    given = {"side": 50, **SIZES}
    assert tile_bytes(**{**given, **more}) > tile_bytes(**given)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_matrices_of_turned_frames_are_counted(scale):
    """Of many frames of few bands, where they are most of what is needed."""
    side, frames = 24, 6
    turn = np.array([[1.0, -0.02, 0.3], [0.02, 1.0, -0.4], [0.0, 0.0, 1.0]])
    canvas = Canvas.around(View(0, side, 0, side), MARGIN, scale)
    still = np.zeros((frames, 2), np.int64)
    operator = WarpOperator(canvas, Psf.parse("mtf:0.29"), [FrameMotion(turn)] * frames, still, torch.device("cpu"))
    matrices = [held for held in _tensors(operator) if held.layout == torch.sparse_csr]
    assert len(matrices) == 2 * frames
    parts = [part for m in matrices for part in (m.crow_indices(), m.col_indices(), m.values())]
    held = sum(part.numel() * part.element_size() for part in parts)
    assert tile_bytes(side, frames, 2, 2, scale) >= held


def test_the_scene_model_holds_no_more_operators_than_are_planned_with(monkeypatch):
    turned = simulate(town((100, 100), bands=12, seed=3).cube, 2, 4, snr=30, motion="affine", max_shift=1.8, seed=1)
    stack = FrameStack(tuple(Cube.from_array(frame) for frame in turned.frames))
    alive, most = weakref.WeakSet(), 0
    build = WarpOperator.__init__

    def counted(operator, *args, **options):
        nonlocal most
        build(operator, *args, **options)
        alive.add(operator)
        most = max(most, len(alive))

    monkeypatch.setattr(WarpOperator, "__init__", counted)
    estimate_scene(stack, PipelineConfig(scale=2, psf="mtf:0.29"), quiet_context("cpu"))
    assert 2 <= most <= WARPS_OF_SCENE


def _tensors(holder):
    """Tensors that an object holds, itself or in lists."""
    values = [value for held in vars(holder).values() for value in (held if isinstance(held, list) else [held])]
    return [value for value in values if isinstance(value, torch.Tensor)]


def test_too_little_is_said_with_sizes_and_the_way_out():
    with pytest.raises(MemoryLimitError, match=r"8 frames x 100 bands at scale 2 needs about .* GiB.*fewer frames"):
        tile_side(VIEW, **SIZES, free=10**6)

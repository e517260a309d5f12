"""How a result was made, as plain values: they go into every file beside the cube."""

from __future__ import annotations

import math
from typing import Any

from hsimisr import __version__
from hsimisr.cube import Cube, FrameStack
from hsimisr.physics.types import FrameMotion
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.export import determined_map, product_of
from hsimisr.pipeline.tiled_result import TiledResult


def provenance_of(result: Result | TiledResult, stack: FrameStack, seed: int) -> dict[str, Any]:
    """Version, settings, seed, timings, what was found, and what was done with each frame."""
    registration, determined = result.scene.registration, determined_map(result)
    return {
        "hsimisr": __version__,
        "product": product_of(result.config),
        "config": result.config.dump(),
        "seed": seed,
        "device": result.diagnostics["device"],
        "view": result.diagnostics["view"],
        "timings": result.diagnostics["timings"],
        "learned": result.diagnostics.get("learned"),
        "psf": result.scene.psf,
        "rank": result.scene.subspace.rank,
        "bar_scale": None if result.scene.bar_scale is None else result.scene.bar_scale.tolist(),
        "determined_share": None if determined is None else _finite(determined.mean()),
        "reference": registration.reference,
        "frames": [_of_frame(cube, frame) for cube, frame in zip(stack.frames, registration.frames, strict=True)],
    }


def _of_frame(cube: Cube, frame: FrameMotion) -> dict[str, Any]:
    return {
        "name": cube.name,
        "file": None if cube.source is None else str(cube.source),
        "model": frame.model,
        "matrix": frame.matrix.tolist(),
        "covariance": frame.covariance.tolist(),
        "gain": frame.gain,
        "chi2": _finite(frame.chi2),
        "excluded": frame.excluded,
        "reason": frame.reason,
    }


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None

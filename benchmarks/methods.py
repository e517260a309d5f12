"""What the benchmarks of quality share: where the data are, and the methods that are compared."""

from __future__ import annotations

import os
from pathlib import Path

from hsimisr.inversion.config import (
    BackProjectionConfig,
    BicubicConfig,
    DrizzleConfig,
    InvertConfig,
    LmmseConfig,
    MeanConfig,
    TotalVariationConfig,
)

DATA = Path(os.environ.get("HSIMISR_DATA", Path(__file__).parents[2] / "shared" / "data"))
STATIONARY = LmmseConfig(rounds=0)
METHODS: dict[str, InvertConfig] = {
    "bicubic": BicubicConfig(),
    "mean": MeanConfig(),
    "drizzle": DrizzleConfig(),
    "ibp": BackProjectionConfig(),
    "tv": TotalVariationConfig(),
    "linear": STATIONARY,
    "lmmse": LmmseConfig(),
}
"""`linear` is the LMMSE under a stationary prior, `lmmse` under one that follows the local contrast."""

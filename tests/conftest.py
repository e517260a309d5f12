"""Fixtures shared by all tests, and the thread settings that keep torch quick on a busy machine."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything imports torch: spinning OpenMP threads slow every other process down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cubes (`HSIMISR_DATA`, else `../shared/data`); skips where it is absent."""
    folder = Path(os.environ.get("HSIMISR_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real data in {folder}; set HSIMISR_DATA to the folder that holds manifest.csv")
    return folder


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of sample frames, as the plugin finds it."""
    return ROOT / "napari_hsimisr" / "sample_data"

"""What a job needs is estimated before it allocates: the kernel's out-of-memory kill cannot be caught."""

from __future__ import annotations

from hsimisr.errors import MemoryLimitError
from hsimisr.geometry import MARGIN, View
from hsimisr.pipeline.tiles import SMALLEST

SHARE = 0.6
"""Part of the free memory that a job may plan with."""
LARGEST = 256
WARP_BYTES = 320
"""Per HR pixel and frame: the interpolation matrix of 16 entries a row and its transpose where motion is no shift; what
the motion is, nobody knows beforehand."""
WARPS_OF_SCENE = 4
"""Operators alive at once while the motion is refined, those before and after a step and those of the prior's fit
(1060 to 1200 bytes were measured, everything included, of affine motions of 8 and 16 frames at x2 and x3)."""
NETWORK_BYTES = 18_000
"""Per HR pixel: features of the denoiser, the larger network (16 200 were measured; of the refiner, 8 600)."""


def tile_bytes(side: int, frames: int, bands: int, rank: int, scale: int, learned: bool = False, warps: int = 1) -> int:
    """Upper estimate of the memory of one tile of `side` LR pixels, bytes.

    Args:
        learned: networks refine it.
        warps: operators that are alive at once.
    """
    pixels = (side + 2 * MARGIN + 4) ** 2
    data = frames * (4 * bands * 2 + 4 * rank * 8 + warps * WARP_BYTES * scale**2)
    spectra = rank * scale**2 * 8 * 20
    blocks = rank * scale**4 * 4 * 6
    features = NETWORK_BYTES * scale**2 if learned else 0
    return int(pixels * (data + spectra + blocks + features))


def tile_side(
    view: View, frames: int, bands: int, rank: int, scale: int, free: int, learned: bool = False, warps: int = 1
) -> int:
    """Largest tile that fits into `free` bytes; raises MemoryLimitError when even the smallest does not."""
    side = min(max(view.shape), LARGEST)
    while side > SMALLEST and tile_bytes(side, frames, bands, rank, scale, learned, warps) > SHARE * free:
        side = max(SMALLEST, side * 3 // 4)
    need = tile_bytes(side, frames, bands, rank, scale, learned, warps)
    if need > SHARE * free:
        wanted, there = (f"{size / 2**30:.2f} GiB" for size in (need, free))
        raise MemoryLimitError(
            f"the smallest tile of {frames} frames x {bands} bands at scale {scale} needs about {wanted}, "
            f"{there} are free; close other programs, use fewer frames or lower subspace.rank"
        )
    return side


def job_bytes(view: View, frames: int, bands: int, rank: int, scale: int, free: int, learned: bool = False) -> int:
    """Upper estimate of what a view needs, bytes: its estimate, and a tile of the side that `free` bytes allow.

    Raises:
        MemoryLimitError: not even the smallest tile fits.
    """
    side = tile_side(view, frames, bands, rank, scale, free, learned)
    return _result_bytes(view, bands, rank, scale) + tile_bytes(side, frames, bands, rank, scale, learned)


def fits(view: View, bands: int, rank: int, scale: int, free: int) -> bool:
    """Whether the estimate of a view can be held in `free` bytes; where it cannot, tiles go to disk."""
    return _result_bytes(view, bands, rank, scale) <= SHARE * free


def check_result(view: View, bands: int, rank: int, scale: int, free: int) -> None:
    """Raise MemoryLimitError when the estimate of a view alone does not fit into `free` bytes."""
    if not fits(view, bands, rank, scale, free):
        need = _result_bytes(view, bands, rank, scale)
        raise MemoryLimitError(
            f"the estimate of view {view} ({bands} bands, rank {rank}, scale {scale}) takes {need / 2**30:.1f} GiB and "
            f"{free / 2**30:.1f} GiB are free; refine it on the command line, which puts tiles on disk, or in parts"
        )


def check_expanded(what: str, view: View, bands: int, scale: int, free: int) -> None:
    """Raise MemoryLimitError when two cubes of all bands of a view do not fit into `free` bytes.

    Args:
        what: what holds them, and what to do instead; begins the message.
    """
    h, w = view.shape
    need = 2 * 4 * bands * h * w * scale**2
    if need > SHARE * free:
        raise MemoryLimitError(f"{what} ({need / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free)")


def _result_bytes(view: View, bands: int, rank: int, scale: int) -> int:
    h, w = view.shape
    return 4 * h * w * (2 * rank * scale**2 + bands)

"""Figures of merit of a result against a truth, beside those of the bicubic baseline."""

from __future__ import annotations

from dataclasses import dataclass

from hsimisr.errors import StackError
from hsimisr.pipeline.events import Result
from napari_hsimisr.counterpart import Counterpart

MOST = 1 << 29
"""Values of a cube beyond which three of them in memory are too much for a window (2 GiB each)."""
NAMES = {"psnr": ("PSNR", "dB"), "ssim": ("SSIM", ""), "sam": ("SAM", "°"), "sid": ("SID", ""), "ergas": ("ERGAS", "")}
DIGITS = {"psnr": ".2f", "ssim": ".4f", "sam": ".3f", "sid": ".3g", "ergas": ".3f"}


@dataclass(frozen=True, eq=False)
class Figures:
    """One row a figure: name with unit, refined, bicubic.

    Attributes:
        note: what was compared.
    """

    rows: tuple[tuple[str, str, str], ...]
    note: str

    def as_text(self) -> str:
        """The table with tabs between its columns, as spreadsheets paste it."""
        lines = ["\t".join(row) for row in (("", "refined", "bicubic"), *self.rows)]
        return "\n".join([*lines, self.note]) + "\n"


@dataclass(frozen=True, eq=False)
class FiguresPlan:
    """What to compare: taken from the session on the GUI thread, carried out on another by `read`."""

    result: Result
    truth: Counterpart

    def read(self) -> Figures:
        """Read the truth and compare.

        Raises:
            StackError: the cubes are too large or too small to be compared.
        """
        from hsimisr.metrics import evaluate  # only when asked: it loads scipy

        grid, bands = self.result.estimate.grid, self.result.estimate.subspace.bands
        if bands * grid.shape[0] * grid.shape[1] > MOST:
            raise StackError("the cube is too large to be compared here: refine a view of it, or use hsimisr evaluate")
        truth = self.truth.read()
        estimates = (self.result.estimate, self.result.baseline)
        scores = [evaluate(truth, estimate.bands(), grid.scale) for estimate in estimates]
        refined, bicubic = (score.summary() for score in scores)
        rows = tuple(
            (f"{label} ({unit})" if unit else label, f"{refined[key]:{DIGITS[key]}}", f"{bicubic[key]:{DIGITS[key]}}")
            for key, (label, unit) in NAMES.items()
        )
        note = (
            f"against {self.truth.cube.name}, view {grid.view}, ×{grid.scale}, {scores[0].bands} of {bands} bands, "
            f"{scores[0].border} HR pixels of border left out"
        )
        return Figures(rows, note)

"""The grid convention, in one place.

Coordinates are ``(y, x)``, pixel centres at integers. HR pixel ``i`` lies at the LR coordinate
``(i + 0.5) / s - 0.5``: the LR and HR grids share their corners. The motion of a frame is a 3x3 matrix on
``(y, x, 1)`` that takes a point of the reference frame to the same ground point in that frame, in LR pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsimisr.errors import ConfigError

Array = npt.NDArray[np.float64]
Transform = tuple[float, float, float, float, float, float]
"""Georeference in GDAL order ``(x0, dx, rx, y0, ry, dy)``, from the upper left pixel corner."""
MARGIN = 4
"""LR pixels around the view on the canvas: the reach of the PSF and of the frames' fractions of a pixel."""


def hr_to_lr(index: npt.ArrayLike, scale: int) -> Array:
    """LR coordinate of an HR pixel index (fractions allowed)."""
    return (np.asarray(index, float) + 0.5) / scale - 0.5


def lr_to_hr(coordinate: npt.ArrayLike, scale: int) -> Array:
    """HR pixel index (a fraction) of an LR coordinate."""
    return (np.asarray(coordinate, float) + 0.5) * scale - 0.5


def translation(shift_yx: npt.ArrayLike) -> Array:
    """Motion matrix of a pure shift ``(dy, dx)``, in LR pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] = np.asarray(shift_yx, float)
    return matrix


def apply_motion(matrix: npt.ArrayLike, points_yx: npt.ArrayLike) -> Array:
    """Map points ``(..., 2)`` of the reference frame into a frame by its 3x3 motion (homographies too)."""
    points = np.asarray(points_yx, float)
    m = np.asarray(matrix, float)
    mapped = points @ m[:2, :2].T + m[:2, 2]
    weight = points @ m[2, :2] + m[2, 2]
    return np.asarray(mapped / weight[..., None], dtype=float)


def is_translation(matrix: npt.ArrayLike, tolerance: float = 1e-9) -> bool:
    """Whether a motion matrix is a pure shift."""
    m = np.array(matrix, float)
    m[:2, 2] = 0.0
    return bool(np.abs(m - np.eye(3)).max() <= tolerance)


def rescaled_transform(transform: Transform | None, scale: float) -> Transform | None:
    """The georeference of a grid with the same corner and pixels `scale` times smaller; None stays None."""
    if transform is None:
        return None
    x0, dx, rx, y0, ry, dy = transform
    return x0, dx / scale, rx / scale, y0, ry / scale, dy / scale


@dataclass(frozen=True)
class View:
    """A half-open window ``y0:y1, x0:x1`` of whole reference pixels."""

    y0: int
    y1: int
    x0: int
    x1: int

    def __post_init__(self) -> None:
        if self.y1 <= self.y0 or self.x1 <= self.x0 or min(self.y0, self.x0) < 0:
            raise ConfigError(
                f"view {self} is empty or starts before the frame; give y0:y1,x0:x1 with 0 <= y0 < y1 and 0 <= x0 < x1"
            )

    def __str__(self) -> str:
        return f"{self.y0}:{self.y1},{self.x0}:{self.x1}"

    @classmethod
    def parse(cls, text: str) -> View:
        """Read ``y0:y1,x0:x1``."""
        try:
            (y0, y1), (x0, x1) = ((int(v) for v in part.split(":")) for part in text.split(","))
        except ValueError as error:
            raise ConfigError(f"--view {text!r} is not of the form y0:y1,x0:x1 (whole reference pixels)") from error
        return cls(y0, y1, x0, x1)

    @classmethod
    def whole(cls, shape_yx: tuple[int, int]) -> View:
        return cls(0, shape_yx[0], 0, shape_yx[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def origin(self) -> tuple[int, int]:
        return self.y0, self.x0

    def clipped(self, shape_yx: tuple[int, int]) -> View:
        """This view cut to a frame; raises ConfigError when nothing is left."""
        y1, x1 = min(self.y1, shape_yx[0]), min(self.x1, shape_yx[1])
        if y1 <= self.y0 or x1 <= self.x0:
            raise ConfigError(f"view {self} lies outside the reference frame of {shape_yx[0]} x {shape_yx[1]} pixels")
        return View(self.y0, y1, self.x0, x1)


@dataclass(frozen=True)
class Grid:
    """An HR grid of `shape` pixels, `scale` per LR pixel, that starts at LR pixel `origin_yx` of the reference."""

    scale: int
    origin_yx: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def of_view(cls, view: View, scale: int) -> Grid:
        return cls(scale, view.origin, (view.shape[0] * scale, view.shape[1] * scale))

    @property
    def view(self) -> View:
        y0, x0 = self.origin_yx
        return View(y0, y0 + self.shape[0] // self.scale, x0, x0 + self.shape[1] // self.scale)

    def layer_scale(self, frame_scale: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float]:
        """World size of an HR pixel, for a reference frame shown with `frame_scale`."""
        return frame_scale[0] / self.scale, frame_scale[1] / self.scale

    def layer_translate(
        self, frame_scale: tuple[float, float] = (1.0, 1.0), frame_translate: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float]:
        """World position of the centre of HR pixel (0, 0), so that the overlay sits exactly on the frame."""
        half = (1.0 / self.scale - 1.0) / 2.0
        y, x = (
            (origin + half) * size + start
            for origin, size, start in zip(self.origin_yx, frame_scale, frame_translate, strict=True)
        )
        return y, x

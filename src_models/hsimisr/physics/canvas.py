"""The canvas: the HR image of a view with a margin, held by its spectrum in alias groups.

Sampling folds the HR frequencies ``f + a / s`` onto the LR frequency ``f``. Stored by these groups, everything that
the observation model does is a small matrix per LR frequency and FFTs of LR size. Images are real, so half of the LR
frequency plane is enough: a spectrum has shape ``(..., s*s, h, w // 2 + 1)`` for a canvas of ``h x w`` LR pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len

from hsimisr.geometry import View

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Canvas:
    """A periodic HR grid whose LR pixel (0, 0) is the reference pixel `origin`.

    Attributes:
        origin: reference pixel of the canvas corner; negative in the margin.
        shape: canvas size in LR pixels.
        scale: HR pixels per LR pixel.
        view: the part that is wanted, in reference pixels.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    scale: int
    view: View

    @classmethod
    def around(cls, view: View, margin: int, scale: int) -> Canvas:
        """A canvas with at least `margin` LR pixels around `view`, of a size that transforms fast."""
        sizes = [next_fast_len(n + 2 * margin, real=True) for n in view.shape]
        return cls((view.y0 - margin, view.x0 - margin), (sizes[0], sizes[1]), scale, view)

    @property
    def hr_shape(self) -> tuple[int, int]:
        return self.shape[0] * self.scale, self.shape[1] * self.scale

    @property
    def half_width(self) -> int:
        return self.shape[1] // 2 + 1

    @cached_property
    def frequencies(self) -> tuple[Array, Array]:
        """``(fy, fx)`` of each entry of a spectrum, ``(s*s, h, w//2+1)``, cycles per LR pixel."""
        s = self.scale
        fy, fx = (np.fft.fftfreq(n) * s for n in self.hr_shape)
        full = np.broadcast_arrays(fy[:, None], fx[None, :])
        return self._by_group(full[0]), self._by_group(full[1])

    @cached_property
    def radius(self) -> Array:
        """Radial frequency of each entry, cycles per LR pixel."""
        fy, fx = self.frequencies
        return np.hypot(fy, fx)

    @cached_property
    def unpaired(self) -> npt.NDArray[np.bool_]:
        """Entries at the HR Nyquist frequency, which have no partner of opposite sign and are not modelled."""
        fy, fx = self.frequencies
        return np.asarray((np.abs(np.abs(fy) - self.scale / 2) < 1e-9) | (np.abs(np.abs(fx) - self.scale / 2) < 1e-9))

    @cached_property
    def half_weight(self) -> npt.NDArray[np.float32]:
        """How often each column of the half plane counts in a sum over the whole plane, ``(w//2+1,)``."""
        weight = np.full(self.half_width, 2.0, np.float32)
        weight[0] = 1.0
        if self.shape[1] % 2 == 0:
            weight[-1] = 1.0
        return weight

    @property
    def view_slices(self) -> tuple[slice, slice]:
        """Where the view lies in an HR image of the canvas."""
        y0, x0 = ((v - o) * self.scale for v, o in zip(self.view.origin, self.origin, strict=True))
        h, w = self.view.shape
        return slice(y0, y0 + h * self.scale), slice(x0, x0 + w * self.scale)

    def slices_around(self, margin: int) -> tuple[slice, slice]:
        """Where the view and `margin` LR pixels around it, as far as there are, lie in an HR image of the canvas."""
        reach = margin * self.scale
        y, x = (
            slice(max(s.start - reach, 0), min(s.stop + reach, n))
            for s, n in zip(self.view_slices, self.hr_shape, strict=True)
        )
        return y, x

    def _by_group(self, full: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        s, (h, w) = self.scale, self.shape
        groups = full.reshape(s, h, s, w).transpose(0, 2, 1, 3).reshape(s * s, h, w)
        return np.ascontiguousarray(groups[..., : self.half_width])

    def to_spectrum(self, image: torch.Tensor) -> torch.Tensor:
        """Spectrum ``(..., s*s, h, w//2+1)`` of HR images ``(..., s h, s w)``."""
        groups = _mirrored(torch.fft.rfft2(image).flatten(-2), self._from_half_plane)
        return groups.unflatten(-1, (self.scale**2, self.shape[0], self.half_width))

    def to_image(self, spectrum: torch.Tensor) -> torch.Tensor:
        """HR images ``(..., s h, s w)`` of a spectrum."""
        height, width = self.hr_shape
        half = _mirrored(spectrum.flatten(-3), self._to_half_plane).unflatten(-1, (height, width // 2 + 1))
        return torch.fft.irfft2(half, s=(height, width))

    @cached_property
    def _from_half_plane(self) -> tuple[torch.Tensor, torch.Tensor]:
        """For each stored entry, its place in the HR half plane, and -1 where that holds its mirror image."""
        height, width = self.hr_shape
        rows, cols = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        mirrored = cols > width // 2
        rows, cols = np.where(mirrored, -rows % height, rows), np.where(mirrored, width - cols, cols)
        index = self._by_group(rows * (width // 2 + 1) + cols).astype(np.int64)
        sign = np.where(self._by_group(mirrored) > 0, -1.0, 1.0).astype(np.float32)
        return torch.from_numpy(index.ravel()), torch.from_numpy(sign.ravel())

    @cached_property
    def _to_half_plane(self) -> tuple[torch.Tensor, torch.Tensor]:
        """For each entry of the HR half plane, where it is stored, and -1 where that is its mirror image."""
        s, (h, w) = self.scale, self.shape
        rows, cols = np.meshgrid(np.arange(s * h), np.arange(s * w // 2 + 1), indexing="ij")
        mirrored = cols % w >= self.half_width
        rows, cols = np.where(mirrored, -rows % (s * h), rows), np.where(mirrored, -cols % (s * w), cols)
        group = (rows // h) * s + cols // w
        index = (group * h + rows % h) * self.half_width + cols % w
        sign = np.where(mirrored, -1.0, 1.0).astype(np.float32)
        return torch.from_numpy(index.ravel()), torch.from_numpy(sign.ravel())

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Inner products ``(...)`` of the HR images of two spectra ``(..., s*s, h, w//2+1)``, in float64."""
        weight = torch.from_numpy(self.half_weight).to(a.device)
        columns = (a.real * b.real + a.imag * b.imag).sum(-2).sum(-2).double()
        return (columns @ weight.double()) / (self.hr_shape[0] * self.hr_shape[1])


def _mirrored(values: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Entries of a spectrum by place; those stored as their mirror image are conjugated."""
    index, sign = (part.to(values.device) for part in places)
    out = values[..., index]
    torch.view_as_real(out)[..., 1] *= sign
    return out

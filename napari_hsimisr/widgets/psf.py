"""The point-spread function: a kind and, where it has one, its number."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, Container, FloatSpinBox

KINDS = {"optics, MTF": "mtf", "box": "box", "Gaussian, FWHM": "gauss", "bicubic": "bicubic"}
TOOLTIP = (
    "How a detector pixel sees the scene: the detector box with optics of this MTF at the Nyquist frequency, the box "
    "alone, a Gaussian of this width in LR pixels, or the antialiased cubic of the single-image literature."
)
NUMBERS = {"mtf": (0.01, 0.63, 0.29), "gauss": (0.05, 10.0, 1.0)}


class PsfEdit(Container[Any]):
    """Chooses a PSF specification such as ``mtf:0.29``; `text` is what the config takes."""

    def __init__(self, text: str) -> None:
        kind, _, number = text.partition(":")
        self.kind = ComboBox(choices=list(KINDS.items()), value=kind)
        self.number = FloatSpinBox(value=0.29, min=0.01, max=10, step=0.01)
        super().__init__(
            widgets=[self.kind, self.number], layout="horizontal", labels=False, label="PSF", tooltip=TOOLTIP
        )
        self.margins = (0, 0, 0, 0)
        self._offer_number()
        if number:
            self.number.value = float(number)
        self.kind.changed.connect(self._offer_number)

    @property
    def text(self) -> str:
        """The specification."""
        kind = str(self.kind.value)
        return f"{kind}:{self.number.value:g}" if kind in NUMBERS else kind

    def _offer_number(self) -> None:
        bounds = NUMBERS.get(self.kind.value)
        self.number.visible = bounds is not None
        if bounds is not None:
            self.number.min, self.number.max, self.number.value = bounds

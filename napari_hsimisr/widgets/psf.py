"""The point-spread function: a kind and, where it has them, its numbers."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox

from hsimisr.physics.config import AUTO, psf_numbers
from napari_hsimisr.widgets.form import show_number

KINDS = {
    "optics, MTF": "mtf",
    "box": "box",
    "Gaussian, FWHM": "gauss",
    "bicubic": "bicubic",
    "found from the frames": AUTO,
}
TOOLTIP = (
    "How a detector pixel sees the scene: the detector box with optics of this MTF at the Nyquist frequency, the box "
    "alone, a Gaussian of this width in LR pixels, or the antialiased cubic of the single-image literature. Found from "
    "the frames, it is the detector box with optics whose width the frames themselves tell."
)
TWO_AXES = "Two axes: the first number is along the axis that stands at this angle from y towards x, the second across"
NUMBERS = {"mtf": (0.01, 0.63, 0.29), "gauss": (0.05, 10.0, 1.0)}


class PsfEdit(Container[Any]):
    """Chooses a PSF specification such as ``mtf:0.29`` or ``auto``; `text` is what the config takes."""

    def __init__(self, text: str) -> None:
        self.kind = ComboBox(choices=list(KINDS.items()))
        self.number = FloatSpinBox(value=0.29, min=0.01, max=10, step=0.01)
        self.two_axes = CheckBox(text="two axes", value=False, tooltip=TWO_AXES)
        self.across = FloatSpinBox(value=0.29, min=0.01, max=10, step=0.01, tooltip=TWO_AXES)
        self.angle = FloatSpinBox(value=0, min=-180, max=180, step=1, tooltip=TWO_AXES)
        self.axes: Container[Any] = Container(
            widgets=[self.two_axes, self.across, self.angle], layout="horizontal", labels=False
        )
        first: Container[Any] = Container(widgets=[self.kind, self.number], layout="horizontal", labels=False)
        super().__init__(widgets=[first, self.axes], labels=False, label="PSF", tooltip=TOOLTIP)
        for row in (self, first, self.axes):
            row.margins = (0, 0, 0, 0)
        self.kind.changed.connect(self._offer_numbers)
        self.two_axes.changed.connect(self._show)
        self.text = text
        self._show()

    @property
    def text(self) -> str:
        """The specification."""
        kind = str(self.kind.value)
        if kind not in NUMBERS:
            return kind
        boxes = (self.number, self.across, self.angle) if self.two_axes.value else (self.number,)
        return f"{kind}:" + ",".join(f"{box.value:.12g}" for box in boxes)

    @text.setter
    def text(self, text: str) -> None:
        self.kind.value = text.partition(":")[0]
        numbers = () if text == AUTO else psf_numbers(text)
        self.two_axes.value = len(numbers) == 3
        if len(numbers) == 1:
            numbers *= 2  # the second axis starts where the first one is
        for box, number in zip((self.number, self.across, self.angle), numbers, strict=False):
            show_number(box, number)

    def _offer_numbers(self) -> None:
        bounds = NUMBERS.get(self.kind.value)
        if bounds is not None:
            for box in (self.number, self.across):
                box.min, box.max, box.value = bounds
        self._show()

    def _show(self) -> None:
        numbers = self.kind.value in NUMBERS
        self.number.visible = self.axes.visible = numbers
        self.across.visible = self.angle.visible = numbers and self.two_axes.value

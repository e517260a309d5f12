"""Inspecting how one frame lies on the reference: what is drawn on the canvas follows motion, band and view."""

from __future__ import annotations

from enum import Enum

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from hsimisr.errors import HsimisrError
from napari_hsimisr.arrows import motion_arrows
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.comparison import Comparison, plan_comparison, shown_motion
from napari_hsimisr.flicker import Flicker
from napari_hsimisr.inspection_layers import ARROWS, CHECKERBOARD, DIFFERENCE, FIELD, InspectionLayers
from napari_hsimisr.layers import cube_of
from napari_hsimisr.session import Session

REST_MS = 40
DIVERGING = "coolwarm"
"""Blue below zero, red above, light in between: the same in both themes."""


class Look(Enum):
    """One way to compare a frame with the reference."""

    OFF = "Off"
    FLICKER = "Flicker"
    CHECKERBOARD = "Checkerboard"
    DIFFERENCE = "Difference"


class Inspection(QObject):
    """Draws what was asked for, for one frame, and keeps it up to date.

    `described` tells in words what there is to see, `failed` why there is nothing.
    """

    described = Signal(str)
    failed = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._reader = LatestRead()
        self._reader.done.connect(self._show)
        self._reader.failed.connect(self.failed)
        self._soon = QTimer(self, singleShot=True, interval=REST_MS)
        self._soon.timeout.connect(self._refresh)
        self._drawn = InspectionLayers(session.viewer)
        self.flicker = Flicker(session.viewer)
        self.layer: Image | None = None
        self.look = Look.OFF
        self._squares = 8
        self._arrows = self._field = False

    def inspect(self, layer: Image | None) -> None:
        """Choose the frame."""
        self.layer = layer
        self.refresh()

    def set_look(self, look: Look) -> None:
        """Choose how it is compared with the reference."""
        self.look = look
        if look is not Look.FLICKER:
            self.flicker.stop()
        if look is Look.OFF:
            self.described.emit("")
        self.refresh()

    def set_squares(self, side: int) -> None:
        """Side of the checkerboard's squares, in pixels of the reference."""
        self._squares = side
        self.refresh()

    def show_arrows(self, shown: bool) -> None:
        """Draw the frame's motion as arrows, or do not."""
        self._arrows = shown
        self.refresh()

    def show_field(self, shown: bool) -> None:
        """Draw how far the frame's local motion reaches, or do not."""
        self._field = shown
        self.refresh()

    def refresh(self) -> None:
        """Draw anew, as soon as the canvas has come to rest."""
        self._soon.start()

    def close(self) -> None:
        """Give the canvas back as it was."""
        self._soon.stop()
        self._reader.close()
        self.flicker.stop()
        self._drawn.remove(CHECKERBOARD, DIFFERENCE, ARROWS, FIELD)

    def _refresh(self) -> None:
        pair = self._pair()
        if pair is None:
            self.flicker.stop()
            self._drawn.remove(CHECKERBOARD, DIFFERENCE, ARROWS, FIELD)
            if self.look is not Look.OFF:
                self.described.emit("There is nothing to compare: select a frame other than the reference.")
            return
        layer, reference = pair
        for look, kind in ((Look.CHECKERBOARD, CHECKERBOARD), (Look.DIFFERENCE, DIFFERENCE)):
            if self.look is not look:
                self._drawn.remove(kind)
        if self.look is Look.FLICKER:
            self.flicker.start(reference, layer)
            self.described.emit(f"By turns: {reference.name} and {layer.name}.")
        if self.look in (Look.CHECKERBOARD, Look.DIFFERENCE):
            self._compare(layer)
        self._draw_arrows(layer, reference)
        self._draw_field(layer, reference)

    def _pair(self) -> tuple[Image, Image] | None:
        """The frame and the reference, while both are there and differ."""
        session, layer = self._session, self.layer
        reference = session.motion_reference or session.reference
        if layer is None or reference is None or layer is reference or not {layer, reference} <= {*session.frames}:
            return None
        return layer, reference

    def _compare(self, layer: Image) -> None:
        try:
            plan = plan_comparison(self._session, layer)
        except HsimisrError as error:
            self.failed.emit(str(error))
            return
        if plan is not None:
            self._reader.request(plan.read)

    def _show(self, comparison: Comparison) -> None:
        pair = self._pair()
        if pair is None:
            return
        layer, reference = pair
        where = {"origin": comparison.view.origin, "band": comparison.band}
        if self.look is Look.CHECKERBOARD:
            name = f"{CHECKERBOARD}: {layer.name} on {reference.name}"
            image, limits = comparison.checkerboard(self._squares), comparison.limits
            self._drawn.show_image(CHECKERBOARD, image, reference, name, limits, **where)
        elif self.look is Look.DIFFERENCE:
            name = f"{DIFFERENCE}: {layer.name} − {reference.name}"
            limits, image = comparison.difference_limits, comparison.difference
            self._drawn.show_image(DIFFERENCE, image, reference, name, limits, colormap=DIVERGING, **where)
        else:
            return
        self.described.emit(_in_words(comparison, self.look))

    def _draw_arrows(self, layer: Image, reference: Image) -> None:
        cube = cube_of(reference)
        arrows = motion_arrows(shown_motion(self._session, layer), cube.shape_yx) if self._arrows and cube else None
        if arrows is None:
            self._drawn.remove(ARROWS)
            return
        about = " about their median" if arrows.relative else ""
        self._drawn.show_arrows(arrows, reference, f"{ARROWS} ×{arrows.factor:g}{about}: {layer.name}")

    def _draw_field(self, layer: Image, reference: Image) -> None:
        field = shown_motion(self._session, layer).field
        if field is None or not self._field:
            self._drawn.remove(FIELD)
            return
        reach = np.hypot(*field)
        name, limits = f"{FIELD} (px): {layer.name}", (0.0, max(float(reach.max()), 1e-3))
        self._drawn.show_image(FIELD, reach, reference, name, limits, colormap="viridis")


def _in_words(comparison: Comparison, look: Look) -> str:
    share = comparison.rms_share
    if np.isnan(share):
        return f"Band {comparison.band} holds nothing to compare here."
    colours = " Red: the frame is brighter, blue: darker." if look is Look.DIFFERENCE else ""
    return f"They differ by {share:.1%} of the contrast of band {comparison.band} (rms).{colours}"

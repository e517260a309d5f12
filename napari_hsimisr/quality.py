"""Judging a result: maps on the canvas that follow the result, the band and the pin; all work in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.layers import Image
from napari.utils.colormaps import Colormap
from qtpy.QtCore import QObject, QTimer, Signal

from hsimisr.errors import HsimisrError
from hsimisr.physics.types import Estimate, Float32
from hsimisr.pipeline.events import Result
from napari_hsimisr.angles import Against, AngleMap, Target, plan_angles
from napari_hsimisr.band_maps import BandMaps, BandPlan
from napari_hsimisr.bridge import LatestRead
from napari_hsimisr.counterpart import truth_of
from napari_hsimisr.figures import FiguresPlan
from napari_hsimisr.inspection import DIVERGING
from napari_hsimisr.layers import PRODUCT
from napari_hsimisr.maps import Map
from napari_hsimisr.quality_layers import ANGLE, DETERMINED, ERROR, FADED, KINDS, LEARNED, RELATIVE, QualityLayers
from napari_hsimisr.session import Request, Session

REST_MS = 40
FADE = Colormap([[0.42, 0.42, 0.46, 1.0], [0.42, 0.42, 0.46, 1.0]], name="faded")
FADE_OPACITY = 0.85
RATIO_LIMITS = (0.0, 2.0)
"""Of a ratio that should be 1: as expected is light, more is red."""
UNIT_MAPS = {DETERMINED: "viridis", LEARNED: "plasma"}


@dataclass(frozen=True, eq=False)
class _Answer:
    """What was read, and the estimate it is about."""

    estimate: Estimate
    about: object
    outcome: Any


class Quality(QObject):
    """Draws what was asked for and keeps it up to date.

    `angles_told`, `band_told` and `figures_told` carry an `AngleMap`, `BandMaps` and `Figures`, or None when there is
    nothing to tell (any more); `failed` says why; `dropped` names the kind of a map that a person has deleted.
    """

    angles_told = Signal(object)
    band_told = Signal(object)
    figures_told = Signal(object)
    failed = Signal(str)
    dropped = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.layers = QualityLayers(session.viewer)
        self.target: Target | None = None
        self.truth: Image | None = None
        self.as_ratio = self.relative = self.error = self.in_bars = False
        self.beyond: float | None = None
        self._unit_maps: set[str] = set()
        self._found: AngleMap | None = None
        self._band: _Answer | None = None
        self._angles, self._bands, self._figures = LatestRead(), LatestRead(), LatestRead()
        self._angles.done.connect(self._show_angles)
        self._angles.failed.connect(self._fail_angles)
        self._bands.done.connect(self._show_band)
        self._bands.failed.connect(self._fail_band)
        self._figures.done.connect(self._tell_figures)
        self._figures.failed.connect(self.failed)
        self._soon = QTimer(self, singleShot=True, interval=REST_MS)
        self._soon.timeout.connect(self._refresh_band)

    def follow_estimate(self) -> None:
        """Another picture is shown: what was told of the one before no longer holds."""
        self._found = None
        self.figures_told.emit(None)
        if self._session.result is None:
            self.layers.put_away(*KINDS)
            self.angles_told.emit(None)
            self.band_told.emit(None)
            return
        self._refresh_angles()
        self.follow_band()
        for kind in self._unit_maps:
            self._draw_unit_map(kind)

    def follow_band(self) -> None:
        """Another band is shown: draw its maps, as soon as the slider has come to rest."""
        self._soon.start()

    def follow_pin(self) -> None:
        """Another point is pinned."""
        if self.target is not None and self.target.against is Against.PIN:
            self._refresh_angles()

    def follow_entry(self) -> None:
        """Another entry of a library is selected."""
        if self.target is not None and self.target.against is Against.ENTRY:
            self._refresh_angles()

    def show_angles(self, target: Target | None) -> None:
        """Map the spectral angle against a target, or do not."""
        self.target, self._found = target, None
        if target is None:
            self.layers.remove(ANGLE)
            self.angles_told.emit(None)
        else:
            self._refresh_angles()

    def show_ratio(self, as_ratio: bool) -> None:
        """Show the angles over what is to be expected, where that is known, or in degrees."""
        self.as_ratio = as_ratio
        self._draw_angles()

    def show_relative(self, shown: bool) -> None:
        """Map the error bar of the band over its value, or do not."""
        self.relative = shown
        if not shown:
            self.layers.remove(RELATIVE)
        self._draw_band_again()

    def fade(self, percent: float | None) -> None:
        """Fade pixels whose error bar is a larger part of the value of the band than this, or none."""
        self.beyond = percent
        if percent is None:
            self.layers.remove(FADED)
        self._draw_band_again()

    def show_error(self, shown: bool, in_bars: bool) -> None:
        """Map how far the band is from the truth, perhaps in error bars, or do not."""
        self.error, self.in_bars = shown, in_bars
        if not shown:
            self.layers.remove(ERROR)
        self.follow_band()

    def set_truth(self, layer: Image | None) -> None:
        """Choose the truth."""
        self.truth = layer
        self.figures_told.emit(None)
        if layer is None:
            self.layers.remove(ERROR)
        self.follow_band()

    def show_unit_map(self, kind: str, shown: bool) -> None:
        """Map what the frames determine, or how far the learned stage was followed, or do not."""
        if shown:
            self._unit_maps.add(kind)
            self._draw_unit_map(kind)
        else:
            self._unit_maps.discard(kind)
            self.layers.remove(kind)

    def compute_figures(self) -> None:
        """Compare the result with the truth, in the background."""
        now = self._now()
        if now is None or self.truth is None:
            return
        request, result = now
        try:
            plan = FiguresPlan(result, truth_of(self.truth, request, result))
        except HsimisrError as error:
            self.failed.emit(str(error))
            return
        _ask(self._figures, plan.read, result.estimate, self.truth)

    def notice_removal(self, event: Any) -> None:
        """A layer is gone: if it was one of the maps, it is not wanted any more."""
        kind = event.value.metadata.get(PRODUCT)
        if kind in KINDS:
            self.dropped.emit(kind)

    def close(self) -> None:
        """Give the canvas back as it was."""
        self._soon.stop()
        for reader in (self._angles, self._bands, self._figures):
            reader.close()
        self.layers.remove(*KINDS)

    def _now(self) -> tuple[Request, Result] | None:
        request, result = self._session.request, self._session.result
        return None if request is None or result is None else (request, result)

    def _fail_angles(self, text: str) -> None:
        self._found = None
        self.layers.put_away(ANGLE)
        self.angles_told.emit(None)
        self.failed.emit(text)

    def _fail_band(self, text: str) -> None:
        self.layers.put_away(ERROR, RELATIVE, FADED)
        self.band_told.emit(None)
        self.failed.emit(text)

    def _refresh_angles(self) -> None:
        now = self._now()
        if now is None or self.target is None:
            return
        try:
            plan = plan_angles(self._session, self.target)
        except HsimisrError as error:
            self._fail_angles(str(error))
            return
        if plan is not None:
            _ask(self._angles, plan.read, now[1].estimate, self.target)

    def _show_angles(self, answer: _Answer) -> None:
        now = self._now()
        if now is None or now[1].estimate is not answer.estimate or self.target != answer.about:
            return
        found: AngleMap = answer.outcome
        self._found = found
        self._draw_angles()

    def _draw_angles(self) -> None:
        now, found = self._now(), self._found
        if now is None or found is None:
            return
        as_ratio = self.as_ratio and found.ratio is not None
        shown = found.ratio if as_ratio and found.ratio is not None else found.degrees
        unit = f"over that of {found.cause}" if as_ratio else "(°)"
        name = f"{ANGLE} {unit}, against {found.against}"
        about, reference = (self.target, as_ratio), now[0].reference_layer
        limits, colormap = (RATIO_LIMITS, DIVERGING) if as_ratio else (shown.limits, "inferno")
        self.layers.show_map(ANGLE, shown, reference, name, about=about, limits=limits, colormap=colormap)
        self.angles_told.emit(found)

    def _refresh_band(self) -> None:
        now = self._now()
        if now is None:
            return
        request, result = now
        relative = self.relative or self.beyond is not None
        wanted = self.truth if self.error else None
        band = self._session.viewer.dims.current_step[0]
        if band >= result.estimate.subspace.bands or not (relative or wanted):
            return
        try:
            truth = None if wanted is None else truth_of(wanted, request, result)
        except HsimisrError as error:
            self.layers.put_away(ERROR)
            self.failed.emit(str(error))
            truth = None
        plan = BandPlan(result.estimate, band, relative, truth, self.in_bars)
        _ask(self._bands, plan.read, result.estimate, (wanted, self.in_bars))

    def _show_band(self, answer: _Answer) -> None:
        now = self._now()
        if now is None or now[1].estimate is not answer.estimate:
            return
        self._band = answer
        self._draw_band(answer)

    def _draw_band_again(self) -> None:
        """From the maps of the band that are there, if they hold what is wanted now."""
        band, now = self._band, self._now()
        if band is not None and now is not None and now[1].estimate is band.estimate and band.outcome.relative:
            self._draw_band(band)
        else:
            self.follow_band()

    def _draw_band(self, answer: _Answer) -> None:
        now = self._now()
        assert now is not None
        found: BandMaps = answer.outcome
        reference, where = now[0].reference_layer, f"band {found.band}"
        if self.relative and found.relative is not None:
            self.layers.show_map(
                RELATIVE,
                found.relative,
                reference,
                f"{RELATIVE} (%), {where}",
                about=found.band,
                limits=found.relative.limits,
                colormap="magma",
            )
        beyond = None if self.beyond is None else found.beyond(self.beyond)
        if beyond is not None:
            name = f"{FADED}: error bar above {self.beyond:.3g} %, {where}"
            self.layers.show_map(
                FADED,
                beyond,
                reference,
                name,
                about=None,
                limits=(0.0, 100.0),
                colormap=FADE,
                opacity=FADE_OPACITY,
                colorbar=False,
            )
        if self.error and found.error is not None and answer.about == (self.truth, self.in_bars):
            unit = "error bars" if self.in_bars else "data units"
            name = f"{ERROR} ({unit}), {where}"
            about = (found.band, answer.about)
            self.layers.show_map(
                ERROR, found.error, reference, name, about=about, limits=found.error.limits, colormap="inferno"
            )
        self.band_told.emit(found)

    def _tell_figures(self, answer: _Answer) -> None:
        now = self._now()
        if now is not None and now[1].estimate is answer.estimate and self.truth is answer.about:
            self.figures_told.emit(answer.outcome)

    def _draw_unit_map(self, kind: str) -> None:
        now = self._now()
        if now is None:
            return
        request, result = now
        values = unit_map(result.estimate, kind)
        if values is None:
            self.layers.put_away(kind)
            return
        shown = Map.on_view(values, result.estimate.grid.view)
        reference, colormap = request.reference_layer, UNIT_MAPS[kind]
        self.layers.show_map(kind, shown, reference, kind, about=None, limits=(0.0, 1.0), colormap=colormap)


def unit_map(estimate: Estimate, kind: str) -> Float32 | None:
    """A map ``(h, w)`` of the estimate on the LR grid, 0 to 1, or None where it has none."""
    return estimate.determined if kind == DETERMINED else estimate.learned


def _ask(reader: LatestRead, read: Callable[[], object], estimate: Estimate, about: object) -> None:
    reader.request(lambda: _Answer(estimate, about, read()))

"""What the Spectra dock draws: the curves of pins, a region and library entries, as values or over something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from hsimisr.errors import StackError
from hsimisr.spectra.continuum import continuum
from hsimisr.spectra.library import SpectralLibrary
from hsimisr.spectra.match import angles, best_matches, brightness
from hsimisr.spectra.resample import resample
from napari_hsimisr.pins import Pin
from napari_hsimisr.readout import Curve, Plan, Readout
from napari_hsimisr.regions import RegionPlan

MATCHES = 6
"""Entries in the list of the best."""


class Way(Enum):
    """What of a spectrum is drawn."""

    VALUES = "values"
    DIFFERENCE = "minus bicubic"
    RATIO = "over bicubic"
    CONTINUUM = "continuum removed"


class Kind(Enum):
    FRAME = "frame"
    BASELINE = "baseline"
    MAIN = "main"
    REGION = "region"
    ENTRY = "library"


@dataclass(frozen=True, eq=False)
class Drawn:
    """One curve as it is drawn: `where` tells what it is, for people; a colour of its own where its kind has none."""

    kind: Kind
    curve: Curve
    where: str
    colour: str = ""


@dataclass(frozen=True)
class Found:
    """An entry of a library beside the current pin: `curve` is scaled by `factor`, to its brightness."""

    entry: int
    name: str
    angle: float
    bands: int
    factor: float
    curve: Curve


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read for the dock.

    Attributes:
        pins: what each pin shows; the current one comes last.
        region: what the region shows, or None.
        found: entries of the library, the nearest to the current pin first, then others that are to be drawn.
        box: pixels along the side of the square that pins average.
        problem: why there is no region, if one was asked for.
    """

    pins: tuple[tuple[Pin, Readout], ...] = ()
    region: Readout | None = None
    found: tuple[Found, ...] = ()
    box: int = 1
    problem: str = ""

    @property
    def current(self) -> Readout | None:
        return self.pins[-1][1] if self.pins else None

    @property
    def base(self) -> Readout | None:
        """What tells the bands."""
        return self.current or self.region

    def angles(self) -> list[tuple[Pin, float]]:
        """Spectral angle, degrees, of the current pin to each of the others."""
        main = None if self.current is None else self.current.main
        if main is None:
            return []
        others = [(pin, readout.main.values) for pin, readout in self.pins[:-1] if readout.main is not None]
        others = [(pin, values) for pin, values in others if values.shape == main.values.shape]
        if not others:
            return []
        found, _ = angles(main.values, np.stack([values for _, values in others]))
        return [(pin, float(angle)) for (pin, _), angle in zip(others, found, strict=True)]


@dataclass(frozen=True, eq=False)
class ReadingPlan:
    """What to read: taken on the GUI thread, carried out on another by `read`."""

    pins: tuple[tuple[Pin, Plan], ...]
    region: RegionPlan | None
    library: SpectralLibrary | None
    fwhm: npt.NDArray[np.float64] | None
    entries: frozenset[int]
    box: int
    problem: str = ""

    def read(self) -> Reading:
        """Read it; raises what reading a cube raises."""
        region, problem = None, self.problem
        try:
            region = None if self.region is None else self.region.read()
        except StackError as error:  # the pins are shown nevertheless
            problem = str(error)
        pins = tuple((pin, plan.read()) for pin, plan in self.pins)
        reading = Reading(pins, region, box=self.box, problem=problem)
        return replace(reading, found=self._matches(reading.base))

    def _matches(self, readout: Readout | None) -> tuple[Found, ...]:
        main = None if readout is None else readout.main
        if self.library is None or readout is None or main is None or readout.wavelengths is None:
            return ()
        spectrum = np.where(readout.bad, np.nan, main.values.astype(float))
        entries = resample(self.library, readout.wavelengths, self.fwhm)
        every = best_matches(spectrum, entries, count=len(entries))
        chosen = [match for rank, match in enumerate(every) if rank < MATCHES or match.entry in self.entries]
        found = []
        for match in chosen:
            name, values = self.library.names[match.entry], entries[match.entry]
            factor = brightness(spectrum, values)
            curve = Curve(name, (factor * values).astype(np.float32))
            found.append(Found(match.entry, name, match.angle, match.bands, factor, curve))
        return tuple(found)


def curves_of(reading: Reading, way: Way, entries: frozenset[int] = frozenset()) -> list[Drawn]:
    """The curves to draw, in order; those that need a baseline which is not there are left out."""
    base, several = reading.base, len(reading.pins) > 1
    if base is None:
        return []
    baseline, out = base.baseline, []
    for pin, readout in reading.pins[:-1]:
        out += _main_of(pin, readout, reading.box, way, several)
    if reading.region is not None and reading.region.main is not None:
        main = reading.region.main
        where = f"mean and standard deviation of {main.count} pixels"
        out += _as(way, Kind.REGION, main, reading.region.baseline, base, where)
    for pin, readout in reading.pins[-1:]:
        where, main = _where(pin, readout, reading.box), readout.main
        for curve in readout.frames:
            if main is None or curve.label != main.label:
                out += _as(way, Kind.FRAME, curve, baseline, base, where)
        if baseline is not None and way in (Way.VALUES, Way.CONTINUUM):
            out += _as(way, Kind.BASELINE, baseline, baseline, base, where)
        out += _main_of(pin, readout, reading.box, way, several)
    for found in reading.found:
        if found.entry in entries:
            where = f"library, times {found.factor:.4g}; spectral angle {found.angle:.2f} degrees"
            out += _as(way, Kind.ENTRY, found.curve, baseline, base, where)
    return out


def shown_as(way: Way, curve: Curve, baseline: Curve | None, x: npt.NDArray[np.float64]) -> Curve | None:
    """A curve over what it is compared with, its error bar along; None where there is no such thing."""
    values, std = curve.values.astype(float), curve.std
    if way is Way.VALUES:
        return curve
    if way is Way.CONTINUUM:
        scale = continuum(x, values)
        scale = np.where(scale > 0, scale, np.nan)
    elif baseline is None:
        return None
    elif way is Way.DIFFERENCE:
        return replace(curve, values=(values - baseline.values).astype(np.float32))
    else:
        scale = np.where(baseline.values != 0, baseline.values.astype(float), np.nan)
    spread = None if std is None else (std / np.abs(scale)).astype(np.float32)
    return replace(curve, values=(values / scale).astype(np.float32), std=spread)


def _as(
    way: Way, kind: Kind, curve: Curve, baseline: Curve | None, base: Readout, where: str, colour: str = ""
) -> Sequence[Drawn]:
    shown = shown_as(way, curve, baseline, base.positions)
    return [] if shown is None or len(shown.values) != len(base.bad) else [Drawn(kind, shown, where, colour)]


def _main_of(pin: Pin, readout: Readout, box: int, way: Way, several: bool) -> Sequence[Drawn]:
    main = readout.main
    if main is None:
        return []
    named = replace(main, label=f"{main.label} · {pin.name}") if several else main
    return _as(way, Kind.MAIN, named, readout.baseline, readout, _where(pin, readout, box), pin.colour)


def _where(pin: Pin, readout: Readout, box: int) -> str:
    text = "{}: reference pixel y {:.2f}, x {:.2f}".format(pin.name, *readout.point)
    return text if box == 1 else f"{text}, mean of {box} x {box} pixels"

"""The box that shows a cube in colour: three bands by wavelength, by preset, number or slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QSlider, QVBoxLayout, QWidget

from hsimisr.composite import PRESETS, usable
from hsimisr.cube import Cube
from napari_hsimisr.app import connect
from napari_hsimisr.colour import Colour, Wanted, can_be_coloured
from napari_hsimisr.layers import cube_of
from napari_hsimisr.session import Session
from napari_hsimisr.widgets.layout import row
from napari_hsimisr.widgets.note import Note

BY_HAND = "By hand"
CHANNELS = ("Red", "Green", "Blue")
SPIN_WIDTH = 105  # screen pixels


class ColourBox(QWidget):
    """Chooses cube, bands and contrast; what is chosen holds for all cubes that are shown in colour."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.colour = Colour(session)
        self._cube: Cube | None = None
        self._bands: npt.NDArray[np.intp] = np.arange(0)
        self._draw()
        self.shown.toggled.connect(self._show)
        self.cube.activated.connect(self.refresh)
        self.preset.activated.connect(self._take_preset)
        for channel, (slider, spin) in enumerate(zip(self.sliders, self.spins, strict=True)):
            slider.valueChanged.connect(partial(self._slide, channel))
            spin.valueChanged.connect(partial(self._type, channel))
        self.percent.valueChanged.connect(self._stretch)
        self.together.toggled.connect(self._stretch)
        self.colour.failed.connect(self.note.setText)
        self.colour.drawn.connect(self._describe)
        self.colour.dropped.connect(self.refresh)
        layers = session.viewer.layers.events
        for changed in (layers.inserted, layers.removed, session.frames_changed, session.estimate_changed):
            connect(self, changed, self._offer)
        self.destroyed.connect(self.colour.close)
        self._offer()

    @property
    def layer(self) -> Image | None:
        """The cube that is chosen."""
        return self.cube.currentData()

    def choose(self, layer: Image) -> None:
        """Choose a cube."""
        places = [n for n in range(self.cube.count()) if self.cube.itemData(n) is layer]
        if places:
            self.cube.setCurrentIndex(places[0])
            self.refresh()

    def refresh(self) -> None:
        """Show the bands of the chosen cube as they stand."""
        layer = self.layer
        self._cube = cube_of(layer)
        with QSignalBlocker(self.shown):
            self.shown.setChecked(self.colour.shows(layer))
        for widget in (self.shown, self.preset, self.percent, *self.sliders, *self.spins):
            widget.setEnabled(self._cube is not None)
        self._show_bands()
        self._describe()

    def _offer(self) -> None:
        """List the cubes that there are, the chosen one first of all if it is still there."""
        layers = [layer for layer in self._session.viewer.layers if can_be_coloured(layer)]
        if layers == [self.cube.itemData(n) for n in range(self.cube.count())]:
            self.refresh()
            return
        before = self.layer
        choice = before if before in layers else self._session.reference
        with QSignalBlocker(self.cube):
            self.cube.clear()
            for layer in layers:
                self.cube.addItem(layer.name, layer)
            if choice in layers:
                self.cube.setCurrentIndex(layers.index(choice))
        self.refresh()

    def _show(self, shown: bool) -> None:
        if self.layer is not None:
            self.colour.show(self.layer, shown)
            self._describe()

    def _take_preset(self) -> None:
        preset = self.preset.currentData()
        if preset is None:
            return
        with QSignalBlocker(self.together):
            self.together.setChecked(preset.together)
        self._ask(replace(self.colour.wanted, nm=preset.nm, numbers=None, together=preset.together))

    def _slide(self, channel: int, place: int) -> None:
        self._take_band(channel, int(self._bands[place]))

    def _type(self, channel: int, value: float) -> None:
        if self._cube is not None:
            positions = self._bands if self._cube.wavelengths is None else self._cube.wavelengths[self._bands]
            self._take_band(channel, int(self._bands[np.argmin(np.abs(positions - value))]))

    def _take_band(self, channel: int, band: int) -> None:
        """A band by hand: its wavelength holds for the other cubes too, its number for those without any."""
        if self._cube is None:
            return
        bands = list(self.colour.wanted.of(self._cube).bands)
        bands[channel] = band
        wanted = replace(self.colour.wanted, numbers=(bands[0], bands[1], bands[2]))
        if self._cube.wavelengths is not None:
            red, green, blue = self._cube.wavelengths[bands].tolist()
            wanted = replace(wanted, nm=(red, green, blue))
        self.preset.setCurrentIndex(self.preset.count() - 1)
        self._ask(wanted)

    def _stretch(self) -> None:
        self.colour.ask(replace(self.colour.wanted, percent=self.percent.value(), together=self.together.isChecked()))

    def _ask(self, wanted: Wanted) -> None:
        self._show_bands(wanted)
        self.colour.ask(wanted)

    def _show_bands(self, wanted: Wanted | None = None) -> None:
        """Put sliders and numbers where the bands are."""
        cube = self._cube
        self.together.setEnabled(cube is not None and cube.wavelengths is not None)
        if cube is None:
            return
        good = usable(cube)
        self._bands = good if cube.wavelengths is None else good[np.argsort(cube.wavelengths[good], kind="stable")]
        positions = self._bands.astype(float) if cube.wavelengths is None else cube.wavelengths[self._bands]
        bands = (wanted or self.colour.wanted).of(cube).bands
        for slider, spin, band in zip(self.sliders, self.spins, bands, strict=True):
            place = int(np.flatnonzero(self._bands == band)[0])
            with QSignalBlocker(slider), QSignalBlocker(spin):
                slider.setRange(0, len(self._bands) - 1)
                slider.setValue(place)
                spin.setDecimals(0 if cube.wavelengths is None else 1)
                spin.setSuffix("" if cube.wavelengths is None else " nm")
                spin.setPrefix("band " if cube.wavelengths is None else "")
                spin.setRange(float(np.nanmin(positions)), float(np.nanmax(positions)))
                spin.setValue(float(positions[place]))

    def _describe(self) -> None:
        """Say what is missing, and which bands are seen."""
        cube, colour = self._cube, self.colour
        if cube is None or not colour.shows(self.layer):
            self.note.setText("")
            return
        choice = colour.wanted.of(cube)
        seen = "Bands {}, {}, {} of {}.".format(*choice.bands, cube.bands)
        self.note.setText(" ".join([*(f"{note[0].upper()}{note[1:]}." for note in choice.notes), seen]))

    def _draw(self) -> None:
        self.shown = QCheckBox("&In colour")
        self.shown.setToolTip("Show three bands of this cube as one picture, a layer of its own that lies on the cube.")
        self.cube = QComboBox()
        self.cube.setToolTip("A frame or the refined cube; the refined one gets the contrast of its reference frame.")
        self.cube.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.cube.setMinimumContentsLength(10)
        self.preset = QComboBox()
        for preset in PRESETS:
            self.preset.addItem("{} ({:g}, {:g}, {:g} nm)".format(preset.name, *preset.nm), preset)
        self.preset.addItem(BY_HAND, None)
        self.preset.setToolTip("Wavelengths of red, green and blue; the nearest usable band is shown.")
        self.sliders = [QSlider(Qt.Orientation.Horizontal) for _ in CHANNELS]
        self.spins = [QDoubleSpinBox(keyboardTracking=False) for _ in CHANNELS]
        self.percent = QDoubleSpinBox(minimum=0, maximum=25, value=self.colour.wanted.percent, singleStep=0.5)
        self.percent.setSuffix(" %")
        self.percent.setToolTip("How many of the darkest and of the brightest pixels may lose their detail.")
        self.together = QCheckBox("Keep proportions", checked=self.colour.wanted.together)
        self.together.setToolTip(
            "One range for the three bands, as true colours want it; without, each band uses its own contrast."
        )
        self.note = Note()
        grid = QGridLayout()
        rows: Sequence[tuple[str, QSlider, QDoubleSpinBox]] = list(zip(CHANNELS, self.sliders, self.spins, strict=True))
        for number, (name, slider, spin) in enumerate(rows):
            spin.setMinimumWidth(SPIN_WIDTH)
            for column, widget in enumerate((QLabel(name), slider, spin)):
                grid.addWidget(widget, number, column)
        first = row(self.shown, self.cube)
        first.setStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(first)
        layout.addWidget(self.preset)
        layout.addLayout(grid)
        layout.addLayout(row(QLabel("Leave out"), self.percent, None, self.together))
        layout.addWidget(self.note)
        layout.addStretch(1)

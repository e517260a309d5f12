"""The choice of a preset, which tells too when a knob was turned since."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.presets import PRESETS, preset_of

CUSTOM = "custom"


class PresetChoice(QComboBox):
    """The presets by title; `chosen` carries the name of the one that a person picks."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("presets")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("How much work a run puts into the scene. Scale, PSF and noise stay as they are.")
        for number, (name, preset) in enumerate(PRESETS.items()):
            self.addItem(preset.title, name)
            self.setItemData(number, preset.about, Qt.ItemDataRole.ToolTipRole)
        self._from: str | None = None
        self.activated.connect(self._pick)

    def show_config(self, config: PipelineConfig) -> None:
        """Name the preset that the settings are, or the one they came from."""
        name = preset_of(config)
        custom = self.findData(CUSTOM)
        if name is not None:
            self._from = name
            if custom >= 0:
                self.removeItem(custom)
            self.setCurrentIndex(self.findData(name))
            return
        title = CUSTOM if self._from is None else f"{CUSTOM} (from {PRESETS[self._from].title})"
        if custom < 0:
            self.addItem(title, CUSTOM)
            custom = self.findData(CUSTOM)
        self.setItemText(custom, title)
        self.setCurrentIndex(custom)

    def _pick(self, index: int) -> None:
        name = self.itemData(index)
        if name in PRESETS:
            self._from = name
            self.chosen.emit(name)

"""What was opened lately, remembered from one session of the program to the next."""

from __future__ import annotations

import json
from collections.abc import Iterable

from qtpy.QtCore import QSettings

from napari_hsimisr.opening import Opening

KEY, MOST = "recent", 12


class Recent:
    """The latest openings first, each once, in the settings that Qt keeps for a user."""

    def __init__(self) -> None:
        self._settings = QSettings(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-hsimisr", "napari-hsimisr"
        )

    @property
    def openings(self) -> list[Opening]:
        """What can be opened again; what another version wrote in another way counts as nothing."""
        text = self._settings.value(KEY, "[]")
        try:
            return [Opening(tuple(map(str, paths)), bool(bands)) for paths, bands in json.loads(str(text)) if paths]
        except (ValueError, TypeError):
            return []

    def add(self, opening: Opening) -> None:
        """Remember an opening as the latest."""
        self._keep([opening, *(other for other in self.openings if other != opening)])

    def forget(self, paths: Iterable[str]) -> bool:
        """Take paths out that are no longer there, and openings of which nothing is left; whether there were any."""
        gone, before = set(paths), self.openings
        left = [
            Opening(tuple(path for path in opening.paths if path not in gone), opening.bands_as_frames)
            for opening in before
        ]
        self._keep([opening for opening in left if opening.paths])
        return left != before

    def clear(self) -> None:
        """Forget everything."""
        self._keep([])

    def _keep(self, openings: list[Opening]) -> None:
        self._settings.setValue(
            KEY, json.dumps([[opening.paths, opening.bands_as_frames] for opening in openings[:MOST]])
        )

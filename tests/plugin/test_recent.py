"""What was opened lately survives the program, without what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import QSettings

from napari_hsimisr.opening import Opening
from napari_hsimisr.recent import KEY, MOST, Recent


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path) -> None:
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path))


def test_the_latest_comes_first_and_everything_once() -> None:
    one, two = Opening(("/a, b/1.hdr", "/a, b/2.hdr")), Opening(("/c.npz",), bands_as_frames=True)
    for opening in (one, two, one):
        Recent().add(opening)
    assert Recent().openings == [one, two]
    assert [str(opening) for opening in Recent().openings] == ["1.hdr and 1 more", "c.npz, bands as frames"]


def test_only_so_many_are_kept() -> None:
    for number in range(MOST + 3):
        Recent().add(Opening((f"{number}.hdr",)))
    assert len(Recent().openings) == MOST
    assert Recent().openings[0].paths == (f"{MOST + 2}.hdr",)


def test_what_is_gone_is_taken_out() -> None:
    recent = Recent()
    recent.add(Opening(("1.hdr", "2.hdr")))
    recent.add(Opening(("1.hdr",)))
    assert recent.forget(["1.hdr"])
    assert recent.openings == [Opening(("2.hdr",))]
    assert not recent.forget(["1.hdr"])


@pytest.mark.parametrize("text", ["", "nonsense", "[[1, 2]]", "{}", "[[[]]]", "7"])
def test_settings_that_cannot_be_read_count_as_none(text: str) -> None:
    Recent()._settings.setValue(KEY, text)
    assert Recent().openings == []
    Recent().add(Opening(("1.hdr",)))
    assert Recent().openings == [Opening(("1.hdr",))]

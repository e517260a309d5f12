"""What is drawn of each reading, and what is written of what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spectral

from hsimisr.cube import Cube
from hsimisr.errors import WriteError
from hsimisr.spectra.library import SpectralLibrary
from hsimisr.spectra.open import open_library
from napari_hsimisr.curves import Kind, Reading, ReadingPlan, Way, curves_of, shown_as
from napari_hsimisr.pins import Pin
from napari_hsimisr.readout import Curve, Plan, Readout
from napari_hsimisr.spectra_table import write_table

X = np.array([400.0, 450, 500, 600, 700])
REFINED = Curve("refined", np.array([2, 4, np.nan, 8, 6], np.float32), np.full(5, 0.5, np.float32))
BICUBIC = Curve("bicubic", np.array([1, 2, 3, 0, 4], np.float32))
FRAMES = (Curve("a", np.full(5, 2, np.float32)), Curve("b", np.arange(5, dtype=np.float32)))


def readout(**changes: object) -> Readout:
    parts: dict[str, object] = {"refined": REFINED, "baseline": BICUBIC, "measured": FRAMES[0], "frames": FRAMES}
    return Readout((3.0, 4.0), X, np.array([0, 0, 1, 0, 0], bool), **(parts | changes))  # type: ignore[arg-type]


def test_every_way_to_show_a_curve() -> None:
    assert shown_as(Way.VALUES, REFINED, BICUBIC, X) is REFINED
    difference = shown_as(Way.DIFFERENCE, REFINED, BICUBIC, X)
    ratio = shown_as(Way.RATIO, REFINED, BICUBIC, X)
    removed = shown_as(Way.CONTINUUM, REFINED, None, X)
    assert difference is not None
    np.testing.assert_array_equal(difference.values, [1, 2, np.nan, 8, 2])
    np.testing.assert_array_equal(difference.std, 0.5)
    assert ratio is not None
    np.testing.assert_array_equal(ratio.values, [2, 2, np.nan, np.nan, 1.5])
    np.testing.assert_array_equal(ratio.std, np.array([0.5, 0.25, 0.5 / 3, np.nan, 0.125], np.float32))
    assert removed is not None
    keep = np.isfinite(REFINED.values)
    expected = spectral.remove_continuum(REFINED.values[keep].astype(float), X[keep])
    np.testing.assert_allclose(removed.values[keep], expected, rtol=1e-6)
    assert np.isnan(removed.values[2])
    for way in (Way.DIFFERENCE, Way.RATIO):
        assert shown_as(way, REFINED, None, X) is None


def test_one_pin_shows_all_and_the_others_their_best_curve() -> None:
    one = Reading(((Pin(1, (0, 0)), readout()),))
    assert [each.curve.label for each in curves_of(one, Way.VALUES)] == ["a", "b", "bicubic", "refined"]
    assert [each.curve.label for each in curves_of(one, Way.RATIO)] == ["a", "b", "refined"]
    before = Reading(((Pin(1, (0, 0)), readout(refined=None, baseline=None)),))
    drawn = curves_of(before, Way.VALUES)
    assert [(each.curve.label, each.kind) for each in drawn] == [("b", Kind.FRAME), ("a", Kind.MAIN)]
    assert curves_of(before, Way.RATIO) == []
    two = Reading(((Pin(2, (0, 0)), readout()), (Pin(1, (0, 0)), readout())), region=readout(refined=REFINED))
    drawn = curves_of(two, Way.VALUES)
    assert [each.curve.label for each in drawn] == [
        "refined · pin 2", "refined", "a", "b", "bicubic", "refined · pin 1"
    ]  # fmt: skip
    assert drawn[0].colour == Pin(2, (0, 0)).colour
    assert drawn[1].kind is Kind.REGION
    assert curves_of(Reading(), Way.VALUES) == []


def test_angles_between_pins() -> None:
    other = Curve("refined", np.array([4, -2, 7, 0, 0], np.float32))
    reading = Reading(((Pin(2, (0, 0)), readout(refined=other)), (Pin(1, (0, 0)), readout())))
    ((pin, angle),) = reading.angles()
    assert pin.number == 2
    assert angle == pytest.approx(90, abs=1e-4)  # 2 * 4 - 4 * 2 over the two bands that both have
    assert Reading(((Pin(1, (0, 0)), readout()),)).angles() == []


def test_library_entries_are_found_and_scaled_to_the_pin(shared_data: Path) -> None:
    library = open_library(shared_data / "speclib" / "library_berlin.sli")
    entry = library.names.index("concrete 2")
    spectrum = (0.02 * library.values[entry]).astype(np.float32)
    bad = np.zeros(len(spectrum), bool)
    bad[:9] = True
    spectrum[:9] = 1e6  # bad bands do not count

    cube = Cube.from_array(spectrum[:, None, None], wavelengths=library.wavelengths, bad=bad)
    plan = Plan((0, 0), ("frame", cube), (("frame", cube, (0, 0)),), None, None)
    reading = ReadingPlan(((Pin(1, (0, 0)), plan),), None, library, None, frozenset({0}), 1).read()
    best = reading.found[0]
    assert (best.name, best.bands) == ("concrete 2", 177 - 9)
    assert best.angle < 1e-4  # float32
    assert best.factor == pytest.approx(0.02, rel=1e-6)
    assert [found.angle for found in reading.found] == sorted(found.angle for found in reading.found)
    assert len(reading.found) == 7
    assert 0 in [found.entry for found in reading.found]  # drawn, so it stays in the list
    drawn = curves_of(reading, Way.VALUES, frozenset({entry}))
    assert [each.curve.label for each in drawn] == ["frame", "concrete 2"]
    np.testing.assert_allclose(drawn[1].curve.values[9:], spectrum[9:], rtol=1e-5)


def test_a_table_holds_what_is_drawn_and_where_it_is(tmp_path: Path) -> None:
    reading = Reading(((Pin(2, (0, 0)), readout()), (Pin(1, (0, 0)), readout())), box=3)
    path = write_table(tmp_path / "spectra.csv", reading, curves_of(reading, Way.VALUES), Way.VALUES)
    text = path.read_text()
    assert "# refined · pin 2: pin 2: reference pixel y 3.00, x 4.00, mean of 3 x 3 pixels" in text
    assert "# spectral angle to pin 2: 0.000 degrees" in text
    library: SpectralLibrary = open_library(path)
    np.testing.assert_array_equal(library.wavelengths, X)
    values = dict(zip(library.names, library.values, strict=True))
    np.testing.assert_array_equal(values["refined · pin 1"], REFINED.values)
    np.testing.assert_array_equal(values["refined · pin 1, standard deviation"], REFINED.std)
    np.testing.assert_array_equal(values["b"], FRAMES[1].values)
    with pytest.raises(WriteError, match="nothing is drawn"):
        write_table(tmp_path / "spectra.csv", Reading(), [], Way.VALUES)


def test_without_wavelengths_the_table_counts_bands(tmp_path: Path) -> None:
    bare = Readout((0, 0), None, np.zeros(5, bool), FRAMES, None, None, FRAMES[0])
    reading = Reading(((Pin(1, (0, 0)), bare),))
    path = write_table(tmp_path / "spectra.csv", reading, curves_of(reading, Way.VALUES), Way.VALUES)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "band,b,a"
    assert lines[3] == "2,2,2"

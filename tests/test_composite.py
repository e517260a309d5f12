"""Pictures show the bands that were asked for, with the contrast of the data, wherever data are."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from hsimisr import composite
from hsimisr.composite import PRESETS, TRUE_COLOUR, bands_at, bands_numbered, render, stretch
from hsimisr.cube import Cube
from hsimisr.errors import Cancelled
from hsimisr.io.open import open_cube, sources_of

UNIT = np.array([[0.0, 1.0]] * 3)


def cube_of(values: np.ndarray, **metadata: object) -> Cube:
    return Cube.from_array(values, **metadata)


def test_the_nearest_usable_bands_are_taken() -> None:
    nm = np.array([450.0, 460.0, 545.0, 552.0, 640.0, 644.0])
    cube = cube_of(np.zeros((6, 2, 2)), wavelengths=nm, bad=nm == 640)
    choice = bands_at(cube, TRUE_COLOUR.nm)
    assert choice.bands == (5, 3, 1)
    assert choice.notes == ()


def test_a_wavelength_that_the_sensor_does_not_reach_is_told() -> None:
    cube = cube_of(np.zeros((4, 2, 2)), wavelengths=[450, 550, 650, np.nan], bad=[False, False, False, False])
    choice = bands_at(cube, (2200, 655, 460))
    assert choice.bands == (2, 2, 0)
    assert choice.notes == ("no usable band near 2200 nm: 650 nm is shown",)


def test_without_wavelengths_the_bands_are_spread_and_that_is_said() -> None:
    cube = cube_of(np.zeros((60, 2, 2)), name="scene", bad=np.arange(60) < 30)
    choice = bands_at(cube, TRUE_COLOUR.nm)
    assert choice.bands == (55, 45, 35)
    assert "scene tells no wavelengths" in choice.notes[0]
    assert bands_numbered(cube, (59, 40, 3)).bands == (59, 40, 30)
    assert bands_at(cube_of(np.zeros((1, 2, 2))), TRUE_COLOUR.nm).bands == (0, 0, 0)


def test_values_between_the_limits_fill_the_range_and_missing_ones_are_clear() -> None:
    values = np.array([[[0.0, 0.5, 1.0, 2.0, -1.0, 0.5, 0.5]]] * 3, np.float32)
    values[1, 0, 5], values[2, 0, 6] = np.nan, 9
    picture = render(cube_of(values, nodata=9.0), (0, 1, 2), UNIT)
    assert picture.step == 1
    np.testing.assert_array_equal(picture.image[0, :5, 0], [0, 128, 255, 255, 0])
    np.testing.assert_array_equal(picture.image[0, :, 3], [255] * 5 + [0, 0])


def test_each_colour_shows_its_own_band() -> None:
    values = np.zeros((5, 1, 1), np.float32)
    values[4], values[2] = 1.0, 0.2
    np.testing.assert_array_equal(render(cube_of(values), (4, 2, 0), UNIT).image[0, 0], [255, 51, 0, 255])


def test_stretching_apart_follows_each_band_and_together_keeps_their_proportions() -> None:
    ramp = np.linspace(0, 1, 101, dtype=np.float32).reshape(1, 101)
    cube = cube_of(np.stack([ramp, 10 * ramp, 5 + ramp]))
    apart = stretch(cube, (0, 1, 2), 2, together=False)
    np.testing.assert_allclose(apart, [[0.02, 0.98], [0.2, 9.8], [5.02, 5.98]], rtol=1e-5)
    together = stretch(cube, (0, 1, 2), 2, together=True)
    np.testing.assert_allclose(together, [[0.02, 9.62], [0.2, 9.8], [5.02, 14.62]], rtol=1e-5)


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_a_band_without_contrast_or_data_still_gives_a_picture(value: float) -> None:
    cube = cube_of(np.full((3, 4, 4), value, np.float32))
    limits = stretch(cube, (0, 1, 2), 2, together=False)
    assert (limits[:, 1] > limits[:, 0]).all()
    assert render(cube, (0, 1, 2), limits).image.shape == (4, 4, 4)


def test_the_sample_of_a_large_cube_is_small_and_fair() -> None:
    """The share of pixels read is that of the windows; of a ramp their percentiles are the image's to a window."""
    read = []

    def note(block: np.ndarray) -> np.ndarray:
        read.append(block.size)
        return block

    size = 768
    y = da.broadcast_to(da.arange(size, chunks=16, dtype=np.float32)[:, None], (size, size), chunks=(16, 16))
    cube = Cube(da.stack([y] * 3).map_blocks(note, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)))
    limits = stretch(cube, (0, 1, 2), 2, together=True)
    assert sum(read) <= 3 * (4 * 16) ** 2 * 8**2  # a window of 32 pixels may touch four chunks of 16
    np.testing.assert_allclose(limits[0], [0.02 * size, 0.98 * size], atol=size / 8 / 2)
    read.clear()
    stretch(cube, (2, 1, 0), 2, together=False)
    assert not read


def test_only_the_three_bands_are_read() -> None:
    seen = set()

    def note(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            seen.add(block_info[0]["chunk-location"][0])
        return block

    data = da.zeros((9, 8, 8), chunks=(1, 4, 8), dtype=np.float32).map_blocks(note, dtype=np.float32)
    cube = Cube(data)
    seen.clear()
    stretch(cube, (1, 4, 7), 2, together=False)
    render(cube, (1, 4, 7), UNIT)
    assert seen == {1, 4, 7}


def test_a_picture_stops_between_two_strips() -> None:
    strips = []
    cube = Cube(da.zeros((3, 40, 4), chunks=(3, 10, 4)))

    def stopped() -> bool:
        strips.append(1)
        return len(strips) > 2

    with pytest.raises(Cancelled):
        render(cube, (0, 1, 2), UNIT, stopped)
    assert len(strips) == 3


def test_of_a_huge_cube_the_middle_of_every_few_pixels_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composite, "LARGEST", 100)
    values = np.arange(31 * 25, dtype=np.float32).reshape(1, 31, 25).repeat(3, axis=0)
    cube = Cube(da.from_array(values, chunks=(3, 7, 25)))
    picture = render(cube, (0, 1, 2), np.array([[0.0, 255.0]] * 3))
    assert picture.step == 3
    np.testing.assert_array_equal(picture.image[..., 0], np.minimum(values[0, 1::3, 1::3], 255))


@pytest.mark.parametrize("folder", ["formats", "scenes"])
def test_real_cubes_give_pictures_with_contrast_in_every_preset(shared_data, folder: str) -> None:
    for source in sources_of(shared_data / folder):
        cube = open_cube(source)
        for preset in PRESETS:
            choice = bands_at(cube, preset.nm)
            assert not cube.bad[list(choice.bands)].any()
            image = render(cube, choice.bands, stretch(cube, choice.bands, 2, preset.together)).image
            assert image.shape == (*cube.shape_yx, 4)
            known = image[image[..., 3] > 0][:, :3]
            assert ((known.min(axis=0) == 0) & (known.max(axis=0) == 255)).any(), f"{cube.name}, {preset.name}"


def test_true_colour_shows_a_grey_patch_grey(shared_data) -> None:
    """The colour chart at the top of the balloons, in light that was balanced."""
    cube = open_cube(shared_data / "scenes" / "cave-balloons.mat")
    bands = bands_at(cube, TRUE_COLOUR.nm).bands
    tint = {}
    for together in (True, False):
        image = render(cube, bands, stretch(cube, bands, 2, together)).image
        colours = image[5:15, 10:40, :3].mean(axis=(0, 1))
        tint[together] = colours.max() / colours.min() - 1
    assert tint[True] < tint[False] / 2

"""Cubes in colour in a real window: the right bands, exactly on the cube, never waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import dask.array as da
import napari
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from hsimisr.composite import PRESETS
from hsimisr.cube import Cube
from napari_hsimisr import colour
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.layers import PRODUCT, frame_layer, is_frame
from napari_hsimisr.overlays import REFINED
from napari_hsimisr.widgets.colour import ColourBox
from napari_hsimisr.widgets.frames_dock import FramesWidget

NM = np.array([450.0, 500, 550, 600, 650, 700, 860, 1650, 2200])
H, W = 20, 30


def scene(**metadata: object) -> Cube:
    """Every band is its number where x is even and 100 where it is odd: pictures tell which bands they are made of."""
    values = np.full((len(NM), H, W), 100, np.float32)
    values[:, :, ::2] = np.arange(len(NM))[:, None, None]
    return Cube.from_array(values, **metadata)


@pytest.fixture
def box(qapp) -> Iterator[ColourBox]:
    """The box of a dock with one frame, which is scaled, shifted and turned."""
    viewer = napari.Viewer()
    dock = FramesWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Frames", area="right")
    dock.tabs.setCurrentWidget(dock.colour)
    data, attributes, _ = frame_layer(scene(wavelengths=NM, name="scene"))
    placed = {"scale": (1, 30, 20), "translate": (0, 7, -3), "rotate": 20.0, "units": ("dimensionless", "m", "m")}
    viewer.add_image(data, **attributes, **placed)
    wait(0.1)
    yield dock.colour
    viewer.close()
    qapp.processEvents()


def picture(box: ColourBox) -> Image:
    """The picture of the chosen cube once all that was asked for is drawn."""
    drawn = []
    box.colour.drawn.connect(lambda: drawn.append(1))
    box.colour.refresh()
    wait_until(lambda: bool(drawn))
    layer = box.colour.picture_of(box.layer)
    assert layer is not None
    return layer


def test_a_picture_lies_exactly_on_its_cube_and_moves_with_it(box: ColourBox) -> None:
    box.shown.click()
    layer, source = picture(box), box.layer
    assert source is not None
    assert layer.rgb
    assert not is_frame(layer)
    assert box._session.frames == [source]
    assert layer.units == source.units[-2:]
    layers = box._session.viewer.layers
    assert layers.index(layer) == layers.index(source) + 1
    assert layers.selection.active is source
    for moved in ({}, {"scale": (1, 2, 5)}, {"affine": np.diag([1.0, 3.0, 3.0, 1.0])}):
        for name, value in moved.items():
            setattr(source, name, value)
        for pixel in ((0, 0), (7, 2), (H - 1, W - 1)):
            np.testing.assert_allclose(layer.data_to_world(pixel), source.data_to_world((4, *pixel))[1:], atol=1e-4)


def test_presets_sliders_and_numbers_choose_the_bands(box: ColourBox) -> None:
    box.shown.click()
    box.percent.setValue(0)
    for preset, bands in zip(PRESETS, ((4, 2, 0), (6, 4, 2), (5, 5, 2), (8, 7, 6)), strict=True):
        box.preset.setCurrentIndex(PRESETS.index(preset))
        box.preset.activated.emit(box.preset.currentIndex())
        picture(box)
        assert box.colour.wanted.of(box._cube).bands == bands  # type: ignore[arg-type]
        assert [slider.value() for slider in box.sliders] == list(bands)
        assert [spin.value() for spin in box.spins] == NM[list(bands)].tolist()
        assert box.together.isChecked() == preset.together
        box.together.setChecked(True)
        bright = 255 * (100 - np.array(bands)) / (100 - min(bands))
        np.testing.assert_allclose(np.asarray(picture(box).data)[3, 5, :3], bright, atol=0.51)
        assert f"Bands {bands[0]}, {bands[1]}, {bands[2]} of 9" in box.note.text()

    box.sliders[0].setFocus()
    QTest.keyClick(box.sliders[0], Qt.Key.Key_Left)
    assert box.colour.wanted.nm == (1650, 1650, 860)
    assert box.preset.currentData() is None
    box.spins[2].lineEdit().selectAll()
    QTest.keyClicks(box.spins[2].lineEdit(), "600")
    QTest.keyClick(box.spins[2].lineEdit(), Qt.Key.Key_Return)
    assert box.sliders[2].value() == 3
    picture(box)
    assert "Bands 7, 7, 3 of 9" in box.note.text()


def test_bands_that_are_bad_cannot_be_chosen_and_what_is_missing_is_said(box: ColourBox) -> None:
    data, attributes, _ = frame_layer(scene(wavelengths=NM, bad=NM == 650, name="bad"))
    box.choose(box._session.viewer.add_image(data, **attributes))
    box.shown.click()
    picture(box)
    assert box.sliders[0].maximum() == 7
    assert box.colour.wanted.of(box._cube).bands == (3, 2, 0)  # type: ignore[arg-type]
    assert "No usable band near 640 nm: 600 nm is shown." in box.note.text()


def test_bands_without_a_wavelength_among_others_cannot_be_chosen(box: ColourBox) -> None:
    data, attributes, _ = frame_layer(scene(wavelengths=np.where(NM == 2200, np.nan, NM), name="a gap"))
    box.choose(box._session.viewer.add_image(data, **attributes))
    box.shown.click()
    picture(box)
    assert box.sliders[0].maximum() == 7
    QTest.keyClick(box.sliders[0], Qt.Key.Key_End)
    picture(box)
    assert box.colour.wanted.nm[0] == 1650


def test_a_cube_without_wavelengths_is_shown_by_band_number_and_that_is_said(box: ColourBox) -> None:
    data, attributes, _ = frame_layer(scene(name="numbers"))
    box.choose(box._session.viewer.add_image(data, **attributes))
    box.shown.click()
    picture(box)
    assert "Numbers tells no wavelengths: bands are chosen by their number." in box.note.text()
    assert [spin.value() for spin in box.spins] == [7, 4, 1]
    box.spins[0].setValue(8)
    picture(box)
    assert "Bands 8, 4, 1 of 9" in box.note.text()


def test_a_picture_that_is_deleted_stays_away_and_goes_with_its_cube(box: ColourBox) -> None:
    viewer = box._session.viewer
    box.shown.click()
    viewer.layers.remove(picture(box))
    assert not box.shown.isChecked()
    box.shown.click()
    picture(box)
    viewer.layers.remove(box.layer)
    assert list(viewer.layers) == []
    assert box.layer is None
    assert not box.shown.isEnabled()


def test_pictures_are_made_off_the_gui_thread_and_the_latest_wins(box: ColourBox) -> None:
    """Of three requests the first is given up, the second is never begun and the third is drawn."""
    reading, go_on, readers = threading.Event(), threading.Event(), []

    def read(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            readers.append((threading.get_ident(), block_info[0]["chunk-location"][0]))
            reading.set()
            go_on.wait(20)
        return block

    values = da.from_array(np.asarray(scene().data), chunks=(1, 5, W)).map_blocks(read, dtype=np.float32)
    go_on.set()
    slow, attributes, _ = frame_layer(Cube(values, wavelengths=NM, name="slow"))
    box.choose(box._session.viewer.add_image(slow, **attributes))
    wait(0.2)
    readers.clear()
    reading.clear()
    go_on.clear()
    box.shown.click()
    wait_until(reading.is_set)
    for place in (5, 6):
        box.sliders[0].setValue(place)
        wait(0.1)
    go_on.set()
    layer = picture(box)
    assert layer.data.shape == (H, W, 4)
    assert threading.get_ident() not in {thread for thread, _ in readers}
    assert 5 not in {band for _, band in readers}


def test_what_cannot_be_read_is_said(box: ColourBox) -> None:
    def fail(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 4:
            raise OSError("the disk is gone")
        return block

    values = da.from_array(np.asarray(scene().data), chunks=(1, H, W)).map_blocks(fail, dtype=np.float32)
    cube = Cube(values, wavelengths=NM, name="broken", bad=NM == 650)
    data, attributes, _ = frame_layer(cube)
    attributes["metadata"] = {"hsimisr": Cube(values, wavelengths=NM, name="broken")}
    box._session.viewer.dims.set_point(0, 0)
    box.choose(box._session.viewer.add_image(data, **attributes))
    box.shown.click()
    wait_until(lambda: "the disk is gone" in box.note.text())
    assert "broken" in box.note.text()


def test_the_refined_cube_in_colour_follows_the_estimate_with_the_contrast_of_the_frame(demo: Demo) -> None:
    box = demo.frames.colour
    demo.refine_everything()
    frame, refined = demo.refine.session.reference, demo.refine.session.overlays.find(REFINED)
    assert frame is not None
    assert refined is not None
    for layer in (frame, refined):
        box.choose(layer)
        box.shown.click()
    picture(box)
    of_frame, of_refined = (box.colour.picture_of(layer) for layer in (frame, refined))
    assert of_frame is not None
    assert of_refined is not None
    assert of_refined.data.shape == (96, 96, 4)
    np.testing.assert_allclose(of_refined.data_to_world((-0.5, -0.5)), of_frame.data_to_world((-0.5, -0.5)))
    means = [np.asarray(layer.data)[..., :3].mean(axis=(0, 1)) for layer in (of_frame, of_refined)]
    np.testing.assert_allclose(means[0], means[1], atol=5)  # of 255: the same scene in the same contrast

    demo.refine.basic.rows["scale"].value = 3
    before = of_refined.data
    demo.refine_everything()
    wait_until(lambda: of_refined.data is not before and of_refined.data.shape == (144, 144, 4))
    assert box.colour.picture_of(refined) is of_refined
    np.testing.assert_allclose(of_refined.data_to_world((-0.5, -0.5)), of_frame.data_to_world((-0.5, -0.5)))
    assert [layer.metadata.get(PRODUCT) for layer in demo.viewer.layers].count(colour.COLOUR) == 2

"""Layers sit exactly where their pixels were measured or inferred, whatever the scale, units and placement."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from hsimisr.cube import Cube
from hsimisr.geometry import Grid, View, apply_motion, hr_to_lr, translation
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube
from hsimisr.physics.types import Estimate, FrameMotion, Subspace
from napari_hsimisr.layers import CUBE, STD, align_frames, cube_of, frame_layer, is_frame, starting_band, unalign_frames
from napari_hsimisr.overlays import REFINED, UNCERTAINTY, Overlays

BANDS, RANK = 12, 3


def make_estimate(view: View, scale: int, seed: int = 0, residual: bool = True) -> Estimate:
    rng = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(rng.normal(size=(BANDS, RANK)))
    bad = np.zeros(BANDS, bool)
    bad[4] = True
    vectors[bad] = 0
    subspace = Subspace(rng.normal(size=BANDS), rng.uniform(0.5, 2, BANDS), vectors, np.ones(RANK), bad)
    grid = Grid.of_view(view, scale)
    mean, variance = rng.normal(size=(RANK, *grid.shape)), rng.uniform(0.1, 1, (RANK, *grid.shape))
    rest = rng.normal(size=(BANDS, *view.shape)).astype(np.float32) if residual else None
    return Estimate(mean.astype(np.float32), subspace, grid, variance.astype(np.float32), rest)


def make_frame(**placement: object) -> Image:
    data = np.random.default_rng(1).normal(size=(BANDS, 20, 30)).astype(np.float32)
    cube = Cube.from_array(data, wavelengths=np.linspace(400, 900, BANDS), transform=(500.0, 10, 0, 900.0, 0, -10))
    array, attributes, _ = frame_layer(cube)
    return Image(array, **(attributes | placement))


@pytest.mark.parametrize(
    "placement",
    [
        {},
        {"scale": (1, 30, 30), "translate": (0, 100, -50)},
        {"scale": (1, 2.5, 0.7), "translate": (0, 3, 4), "rotate": 25.0},
        {"scale": (1, 2, 2), "affine": np.diag([1.0, 3.0, 3.0, 1.0])},
    ],
)
@pytest.mark.parametrize(("scale", "view"), [(2, View(0, 20, 0, 30)), (3, View(4, 11, 7, 29)), (1, View(2, 5, 2, 5))])
def test_an_hr_pixel_lies_at_its_place_in_the_reference(placement: dict, scale: int, view: View) -> None:
    viewer, frame = ViewerModel(), make_frame(**placement)
    viewer.layers.append(frame)
    Overlays(viewer).show(make_estimate(view, scale), frame, {})
    refined = Overlays(viewer).find(REFINED)
    assert refined is not None
    for pixel in ((0, 0), (1, 2), (view.shape[0] * scale - 1, view.shape[1] * scale - 1)):
        in_frame = hr_to_lr(np.array(pixel), scale) + view.origin
        np.testing.assert_allclose(
            refined.data_to_world((5, *pixel)), frame.data_to_world((5, *in_frame)), rtol=1e-6, atol=1e-5
        )


def test_overlays_keep_units_and_axis_names_of_the_frame() -> None:
    viewer, frame = ViewerModel(), make_frame(scale=(1, 30, 30), units=("dimensionless", "m", "m"))
    viewer.layers.append(frame)
    Overlays(viewer).show(make_estimate(View(0, 20, 0, 30), 2), frame, {})
    for layer in viewer.layers:
        assert (layer.units, layer.axis_labels) == (frame.units, frame.axis_labels)
    assert [str(unit) for unit in viewer.layers.extent.units] == ["dimensionless", "meter", "meter"]


def test_a_better_picture_goes_into_the_same_layer_even_when_the_view_has_moved() -> None:
    viewer, frame = ViewerModel(), make_frame()
    viewer.layers.append(frame)
    overlays = Overlays(viewer)
    overlays.show(make_estimate(View(0, 8, 0, 8), 2), frame, {})
    first = overlays.find(REFINED)
    second_estimate = make_estimate(View(5, 15, 3, 9), 4, seed=2)
    overlays.show(second_estimate, frame, {})

    assert overlays.find(REFINED) is first
    assert [layer.metadata.get("hsimisr_product") for layer in viewer.layers] == [None, REFINED]
    assert first is not None
    np.testing.assert_allclose(first.data_to_world((0, 0, 0)), (0, 5 + hr_to_lr(0, 4), 3 + hr_to_lr(0, 4)))
    np.testing.assert_allclose(np.asarray(first.data[7]), second_estimate.bands()[7], rtol=1e-5, atol=1e-5)


def test_order_and_visibility_of_the_layers() -> None:
    viewer, frame = ViewerModel(), make_frame()
    viewer.layers.append(frame)
    overlays, estimate = Overlays(viewer), make_estimate(View(0, 8, 0, 8), 2)
    overlays.show(estimate, frame, {})
    overlays.show_uncertainty(estimate, frame)
    shown = [(layer.metadata.get("hsimisr_product"), layer.visible) for layer in viewer.layers]
    assert shown == [(None, True), (UNCERTAINTY, False), (REFINED, True)]
    assert not any(is_frame(layer) for layer in list(viewer.layers)[1:])


def test_bands_and_error_bars_are_those_of_the_estimate_and_computed_one_at_a_time() -> None:
    viewer, frame = ViewerModel(), make_frame()
    viewer.layers.append(frame)
    overlays, estimate = Overlays(viewer), make_estimate(View(0, 20, 0, 30), 2)
    overlays.show(estimate, frame, {})
    overlays.show_uncertainty(estimate, frame)
    refined, std = overlays.find(REFINED), overlays.find(UNCERTAINTY)
    assert refined is not None
    assert std is not None
    assert isinstance(refined.data, da.Array)
    assert refined.data.chunksize == (1, 40, 60)
    np.testing.assert_allclose(np.asarray(refined.data), estimate.bands(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(std.data), estimate.std(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(refined.data[3, 2:5, 7]), estimate.bands()[3, 2:5, 7], rtol=1e-5, atol=1e-5)
    assert np.isnan(np.asarray(refined.data[4])).all()


def test_the_refined_cube_keeps_the_metadata_and_has_its_own_georeference() -> None:
    viewer, frame = ViewerModel(), make_frame()
    viewer.layers.append(frame)
    overlays = Overlays(viewer)
    overlays.show(make_estimate(View(4, 10, 6, 16), 2), frame, {"scale": 2})
    layer = overlays.find(REFINED)
    assert layer is not None
    cube, std = layer.metadata[CUBE], layer.metadata[STD]
    assert cube.transform == (560.0, 5, 0, 860.0, 0, -5)
    np.testing.assert_array_equal(cube.wavelengths, frame.metadata[CUBE].wavelengths)
    assert cube.bad.tolist() == [band == 4 for band in range(BANDS)]
    assert std.data.shape == cube.data.shape


def test_aligned_frames_show_a_ground_point_at_one_place() -> None:
    reference = make_frame(scale=(1, 2, 2), translate=(0, 10, 20))
    other = make_frame(scale=(1, 3, 3))  # its own placement does not matter
    motion = translation((1.5, -0.75))
    motion[:2, :2] += [[0.01, -0.005], [0.004, -0.01]]
    align_frames({reference: FrameMotion(np.eye(3)), other: FrameMotion(motion)}, reference)
    for point in ((0.0, 0.0), (7.25, 12.5)):
        np.testing.assert_allclose(
            other.data_to_world((0, *apply_motion(motion, point))), reference.data_to_world((0, *point)), atol=1e-9
        )
    np.testing.assert_allclose(reference.affine.affine_matrix, np.eye(4), atol=1e-12)
    unalign_frames((reference, other))
    np.testing.assert_allclose(other.data_to_world((0, 1, 1)), (0, 3, 3))


def test_a_frame_whose_motion_was_rejected_is_shown_as_it_was_measured() -> None:
    reference, other = make_frame(), make_frame()
    for motion in (
        FrameMotion(translation((1, 2))),
        FrameMotion(translation((40, 9)), excluded=True, reason="blurred"),
    ):
        align_frames({reference: FrameMotion(np.eye(3)), other: motion}, reference)
    np.testing.assert_allclose(other.data_to_world((0, 3, 4)), reference.data_to_world((0, 3, 4)))


def test_the_cube_of_a_layer_holds_what_the_layer_shows() -> None:
    layer = make_frame()
    stored = layer.metadata[CUBE]
    assert cube_of(layer) is stored
    layer.data = np.asarray(layer.data) * 2
    changed = cube_of(layer)
    assert changed is not None
    assert changed is cube_of(layer)
    np.testing.assert_array_equal(changed.read(), stored.read() * 2)
    np.testing.assert_array_equal(changed.wavelengths, stored.wavelengths)
    layer.data = layer.data[2:, 1:]  # which bands, and where on the ground, nobody knows any more
    cut = cube_of(layer)
    assert cut is not None
    assert (cut.data.shape, cut.wavelengths, cut.transform) == ((10, 19, 30), None, None)


def test_the_first_band_is_red_or_else_a_usable_one() -> None:
    data = np.ones((5, 4, 4), np.float32)
    assert starting_band(Cube.from_array(data, wavelengths=[450, 550, 640, 700, 900])) == 2
    bad = np.array([False, False, True, False, False])
    assert starting_band(Cube.from_array(data, wavelengths=[450, 550, 650, 700, 900], bad=bad)) == 3
    assert starting_band(Cube.from_array(data, bad=bad)) == 3


def test_plain_images_count_as_frames_but_pictures_do_not() -> None:
    assert is_frame(Image(np.zeros((6, 5, 5))))
    assert not is_frame(Image(np.zeros((5, 5))))
    assert not is_frame(Image(np.zeros((5, 5, 3), np.uint8), rgb=True))
    cube = cube_of(Image(np.arange(150.0).reshape(6, 5, 5), name="mine"))
    assert cube is not None
    assert (cube.name, cube.spectrum(2, 3).tolist()) == ("mine", [13.0 + 25 * band for band in range(6)])


def test_a_frame_of_a_plain_file_is_shown_by_the_band_and_stays_the_same_cube(tmp_path: Path) -> None:
    write_cube(tmp_path / "scene.hdr", Cube.from_array(np.random.default_rng(0).normal(size=(5, 6, 7)), name="scene"))
    cube = open_cube(tmp_path / "scene.hdr")
    data, attributes, _ = frame_layer(cube)
    assert data.chunksize == (1, 6, 7)
    layer = Image(data, **attributes)
    assert cube_of(layer) is cube
    np.testing.assert_array_equal(np.asarray(layer.data), cube.data.compute())

"""napari opens hyperspectral files as lazy frames, leaves pictures alone, and saves cubes with all they carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from npe2 import PluginManifest

from hsimisr.cube import Cube, CubeSource
from hsimisr.errors import ReadError, WriteError
from hsimisr.io.open import open_cube
from hsimisr.io.write import write_cube
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished, Preview
from napari_hsimisr.layers import CUBE, PROVENANCE, STD
from napari_hsimisr.overlays import REFINED, UNCERTAINTY, Overlays
from napari_hsimisr.reader import get_reader
from napari_hsimisr.sample import sample_frames, sample_truth
from napari_hsimisr.writer import write_layer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cube() -> Cube:
    data = np.random.default_rng(0).uniform(size=(9, 12, 15)).astype(np.float32)
    bad = np.arange(9) == 3
    return Cube.from_array(data, wavelengths=np.linspace(420, 980, 9), bad=bad, name="scene")


@pytest.mark.parametrize("suffix", [".hdr", ".tif", ".npz", ".zarr", ".mat", ".nc"])
def test_a_written_frame_is_read_as_a_lazy_layer_with_its_metadata(tmp_path: Path, cube: Cube, suffix: str) -> None:
    path = tmp_path / f"scene{suffix}"
    write_layer(str(path), cube.data, {"name": "scene", "metadata": {CUBE: cube}})
    read = get_reader(str(path))
    assert read is not None
    ((data, attributes, kind),) = read(str(path))

    assert kind == "image"
    assert isinstance(data, da.Array)
    layer = Image(data, **attributes)
    assert layer.axis_labels == ("band", "y", "x")
    assert layer.contrast_limits[0] < layer.contrast_limits[1]
    opened = layer.metadata[CUBE]
    np.testing.assert_allclose(opened.wavelengths, cube.wavelengths)
    np.testing.assert_array_equal(opened.bad, cube.bad)
    np.testing.assert_array_equal(np.asarray(data)[~cube.bad], np.asarray(cube.data)[~cube.bad])
    assert opened.source is not None


def test_the_sample_opens_as_eight_frames_of_which_one_is_drawn() -> None:
    layers = sample_frames()
    assert len(layers) == 8
    assert [attributes.get("visible", True) for _, attributes, _ in layers] == [True] + 7 * [False]
    assert {data.shape for data, _, _ in layers} == {(60, 48, 48)}
    assert sample_truth().data.shape == (60, 96, 96)
    for _, attributes, _ in layers:
        source = attributes["metadata"][CUBE].source
        np.testing.assert_array_equal(open_cube(source).wavelengths, attributes["metadata"][CUBE].wavelengths)


def test_ordinary_pictures_and_other_files_are_left_to_other_readers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "picture.tif", np.zeros((30, 40), np.uint8))
    (tmp_path / "notes.npz").write_bytes(b"not an archive")
    (tmp_path / "empty").mkdir()
    for name in ("picture.tif", "notes.npz", "empty", "absent.tif"):
        assert get_reader(str(tmp_path / name)) is None


def test_a_damaged_hyperspectral_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "scene.hdr"
    path.write_text("ENVI\nsamples = 10\n")
    read = get_reader(str(path))
    assert read is not None
    with pytest.raises(ReadError, match=r"scene\.hdr"):
        read(str(path))


def test_several_paths_open_together(tmp_path: Path, cube: Cube) -> None:
    paths = [str(tmp_path / f"{number}.npz") for number in range(3)]
    for path in paths:
        write_cube(Path(path), cube)
    read = get_reader(paths)
    assert read is not None
    assert len(read(paths)) == 3


def test_a_refined_layer_is_saved_with_error_bars_and_provenance(tmp_path: Path, desk) -> None:
    viewer = ViewerModel()
    frame = desk.session.frames[0]
    viewer.layers.append(frame)
    estimate = desk.result().estimate
    Overlays(viewer).show(estimate, frame, {"scale": 2, "psf": "box"})
    layer = Overlays(viewer).find(REFINED)
    assert layer is not None
    data, attributes, _ = layer.as_layer_data_tuple()
    written = write_layer(str(tmp_path / "refined.npz"), data, attributes)

    assert written
    saved = open_cube(tmp_path / "refined.npz")
    np.testing.assert_allclose(saved.read(), estimate.bands(), rtol=1e-6)
    np.testing.assert_allclose(open_cube(f"{tmp_path / 'refined.npz'}:std").read(), estimate.std(), rtol=1e-6)
    np.testing.assert_array_equal(saved.wavelengths, [500, 600])
    assert saved.extra["provenance"]["psf"] == "box"


def test_what_a_layer_shows_is_saved_even_if_its_data_were_replaced(tmp_path: Path, cube: Cube) -> None:
    opened = replace(cube, source=CubeSource("scene.hdr"))
    attributes = {"name": "scene", "metadata": {CUBE: opened, STD: cube, PROVENANCE: {"scale": 2}}}
    write_layer(str(tmp_path / "scene.npz"), np.asarray(cube.data) + 1, attributes)
    saved = open_cube(tmp_path / "scene.npz")
    np.testing.assert_array_equal(saved.read(), cube.read() + 1)
    np.testing.assert_array_equal(saved.wavelengths, cube.wavelengths)
    assert "provenance" not in saved.extra
    with pytest.raises(ReadError):  # the error bars were those of the data before
        open_cube(f"{tmp_path / 'scene.npz'}:std")


@pytest.mark.parametrize("product", [REFINED, UNCERTAINTY])
def test_a_result_that_rests_on_a_provisional_scene_is_not_saved(tmp_path: Path, desk, product: str) -> None:
    desk.session.refine(PipelineConfig(), whole=False)
    desk.session.handle(Finished(desk.jobs[0].number, desk.result(provisional=True)))
    assert_not_saved(desk, product, tmp_path / "refined.npz", "provisional")
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[1].number, desk.result()))
    data, attributes, _ = desk.session.overlays.find(product).as_layer_data_tuple()
    assert write_layer(str(tmp_path / "refined.npz"), data, attributes)


def test_a_preview_is_not_saved(tmp_path: Path, desk) -> None:
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Preview(desk.jobs[0].number, "first", desk.result().estimate))
    assert_not_saved(desk, REFINED, tmp_path / "refined.npz", "preview")


def assert_not_saved(desk, product: str, path: Path, reason: str) -> None:
    data, attributes, _ = desk.session.overlays.find(product).as_layer_data_tuple()
    with pytest.raises(WriteError, match=rf"{path.name}.*{reason}"):
        write_layer(str(path), data, attributes)
    assert not path.exists()


def test_the_manifest_names_things_that_exist() -> None:
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    manifest.validate_imports()
    names = {widget.display_name for widget in manifest.contributions.widgets}
    assert names == {"Open the workbench", "Frames", "Refine", "Spectra", "Alignment", "Quality", "Export"}

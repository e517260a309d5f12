"""Every real file opens as its README says, or is refused with one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsimisr.errors import ReadError
from hsimisr.io.open import open_cube, open_frames

SHAPES = {
    "scenes/abu-airport-1.mat": (205, 100, 100),
    "scenes/abu-airport-2.mat": (205, 100, 100),
    "scenes/abu-airport-3.mat": (205, 100, 100),
    "scenes/abu-urban-1.mat": (204, 100, 100),
    "scenes/abu-urban-2.mat": (207, 100, 100),
    "scenes/abu-urban-4.mat": (205, 100, 100),
    "scenes/abu-urban-5.mat": (205, 100, 100),
    "scenes/pavia-centre.mat": (102, 100, 100),
    "scenes/jasper-ridge.mat": (198, 100, 100),
    "scenes/samson.mat": (156, 95, 95),
    "scenes/salinas-a.mat": (204, 83, 86),
    "scenes/enmap-potsdam.tif": (224, 64, 128),
    "scenes/cave-cloth.mat": (31, 256, 256),
    "scenes/cave-feathers.mat": (31, 150, 150),
    "scenes/cave-balloons.mat": (31, 100, 100),
    "scenes/cave-balloons-512.npz": (20, 512, 512),
    "sequences/alpaca.mat": (55, 96, 128),
    "sequences/text.mat": (30, 57, 49),
    "sequences/sentinel2-l1b-00.tif": (4, 352, 352),
    "sequences/sentinel2-l1b-01.tif": (4, 352, 352),
    "sequences/sentinel2-l1b-02.tif": (4, 352, 352),
    "sequences/rededge-0001-crop.npz": (5, 512, 640),
    "pairs/paris_data_hs_ms.mat": (128, 72, 72),
    "pairs/paris_data_hs_pan.mat": (128, 72, 58),
    "formats/ang20160910t185702_2rdn_img": (425, 25, 30),
    "formats/hippo_image.hdr": (450, 38, 23),
    "formats/hippo_image.dat": (450, 38, 23),
    "formats/plantcv_corn-kernel-hyperspectral.hdr": (580, 31, 43),
    "formats/cubus_gamsberg_subset": (189, 25, 10),
    "formats/NEON_SJER_ex.h5": (426, 30, 30),
    "formats/enmap_potsdam_tile_160_160.tif": (224, 32, 32),
}
WAVELENGTHS = {
    "scenes/enmap-potsdam.tif": (418.24, 2445.53),
    "scenes/cave-balloons.mat": (400, 700),
    "scenes/cave-balloons-512.npz": (400, 590),
    "formats/ang20160910t185702_2rdn_img": (376.44, 2500.12),
    "formats/cubus_gamsberg_subset": (426.82, 2324.91),
    "formats/NEON_SJER_ex.h5": (383.534, 2511.894),
    "formats/plantcv_corn-kernel-hyperspectral.hdr": (366.551, 1048.421),
}


@pytest.mark.filterwarnings("ignore:.*byte order")
@pytest.mark.parametrize("name", SHAPES)
def test_shape_and_values(shared_data: Path, name: str) -> None:
    cube = open_cube(shared_data / name)
    assert cube.data.shape == SHAPES[name]
    values = cube.read()
    assert np.isfinite(values[cube.good]).any(axis=(1, 2)).all()
    if name in WAVELENGTHS:
        assert cube.wavelengths is not None
        np.testing.assert_allclose(cube.wavelengths[[0, -1]], WAVELENGTHS[name], atol=0.005)


@pytest.mark.filterwarnings("ignore:.*byte order")
def test_every_file_opens_or_is_refused(shared_data: Path) -> None:
    for folder in ("scenes", "pairs", "sequences", "formats", "srf", "speclib"):
        for path in sorted((shared_data / folder).iterdir()):
            if folder in ("srf", "speclib"):
                with pytest.raises(ReadError, match=path.stem):
                    open_cube(path)
            else:
                assert open_cube(path).bands > 1


def test_enmap_nodata_bands_are_bad(shared_data: Path) -> None:
    for name in ("scenes/enmap-potsdam.tif", "formats/enmap_potsdam_tile_160_160.tif"):
        cube = open_cube(shared_data / name)
        assert np.flatnonzero(cube.bad).tolist() == [129, 130, 131, 132, 133, 134]
        assert cube.crs == "EPSG:32633"
        assert cube.fwhm is not None


def test_anomaly_mask_is_not_taken_for_the_cube(shared_data: Path) -> None:
    assert open_cube(shared_data / "scenes/abu-airport-1.mat").bands == 205
    assert open_cube(f"{shared_data / 'scenes/abu-airport-1.mat'}:map").data.shape == (1, 100, 100)


def test_jasper_ridge_is_an_image(shared_data: Path) -> None:
    """In the wrong pixel order its rows would not resemble their neighbours."""
    image = open_cube(shared_data / "scenes/jasper-ridge.mat").read()[50]
    along = [
        np.corrcoef(image[:-1].ravel(), image[1:].ravel())[0, 1],
        np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1],
    ]
    assert min(along) > 0.8
    rolled = np.corrcoef(image[:, 0], image[:, -1])[0, 1]  # the opposite edges do not meet
    assert rolled < min(along)


def test_both_cubes_of_a_pair(shared_data: Path) -> None:
    path = shared_data / "pairs/paris_data_hs_ms.mat"
    assert any("MSim" in note for note in open_cube(path).notes)
    assert open_cube(f"{path}:MSim").bands == 9
    assert open_cube(f"{shared_data / 'pairs/paris_data_hs_pan.mat'}:PCim").data.shape == (1, 216, 174)


def test_missing_byte_order_is_noted(shared_data: Path) -> None:
    cube = open_cube(shared_data / "formats/plantcv_corn-kernel-hyperspectral.hdr")
    assert any("byte order" in note for note in cube.notes)


@pytest.mark.parametrize("name", ["library_berlin.hdr", "library_berlin.sli", "usgs_splib06a_main_grid.npz"])
def test_spectral_libraries_are_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(ReadError, match=r"spectral library|table of spectra"):
        open_cube(shared_data / "speclib" / name)


def test_neon_scale_nodata_and_place(shared_data: Path) -> None:
    cube = open_cube(shared_data / "formats/NEON_SJER_ex.h5")
    assert (cube.scale_factor, cube.nodata, cube.crs) == (1e-4, -9999.0, "EPSG:32611")
    assert cube.transform == (257000.0, 1.0, 0.0, 4112000.0, 0.0, -1.0)


def test_image_sequences_become_frames_of_one_band(shared_data: Path) -> None:
    stack = open_frames([shared_data / "sequences/text.mat"], bands_as_frames=True)
    assert (len(stack), stack.bands, stack.reference_frame.shape_yx) == (30, 1, (57, 49))
    assert len(open_frames([shared_data / "sequences/alpaca.mat"], bands_as_frames=True)) == 55
    lenses = open_frames([shared_data / "sequences/rededge-0001-crop.npz"], bands_as_frames=True)
    assert (len(lenses), lenses.bands) == (5, 1)

"""Frames that do not fit into memory at once, and tiles without data."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.geometry import View
from hsimisr.pipeline.events import Failed, Finished, Progress

SMALL = {
    "register": {"method": "gauss_newton"},
    "invert": {"method": "lmmse", "rounds": 0},
    "uncertainty": {"method": "posterior", "calibrate": False},  # it would read, and fail, once more
}


class NotInOnePiece:
    """An array in a file that can be read in parts only: more rows at once do not fit into memory."""

    def __init__(self, array, most, granted):
        self.array, self.most, self.granted = array, most, granted
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        part = self.array[key]
        if part.shape[1] > self.most:
            self.granted -= 1
            if self.granted < 0:
                np.empty(2**50)  # more than can be addressed: numpy raises its own MemoryError
        return part


@pytest.fixture
def tall(simulation):
    """Frames of 96 x 32 pixels, three times the scene, the middle one upside down."""
    return np.concatenate([simulation.frames, simulation.frames[:, :, ::-1], simulation.frames], axis=2)


def unreadable(frames, most, granted):
    """Cubes of which `granted` reads of more than `most` rows succeed."""
    return tuple(
        Cube(da.from_array(NotInOnePiece(f, most, granted), chunks=-1, name=f"{most}-{k}"))
        for k, f in enumerate(frames)
    )


def test_out_of_memory_is_retried_with_smaller_tiles(tall, carry_out):
    """The scene model is read in one piece; the reconstruction of all 96 rows is not."""
    listener = carry_out(unreadable(tall, 60, granted=1), options=SMALL)
    assert isinstance(listener.end, Finished), listener.end
    told = {e.message for e in listener.of(Progress) if "out of memory" in e.message}
    assert told == {"out of memory, again with tiles of 48 pixels"}
    plain = carry_out(tall, options=SMALL).end.result.estimate
    apart = (listener.end.result.estimate.mean - plain.mean) / np.sqrt(plain.variance)
    assert np.sqrt(np.mean(apart**2)) < 0.5


def test_the_error_bars_are_calibrated_on_less_where_memory_is_short(tall, carry_out):
    options = {**SMALL, "uncertainty": {"method": "posterior"}}
    listener = carry_out(unreadable(tall, 60, granted=1), options=options)
    assert isinstance(listener.end, Finished), listener.end
    assert any("tiles of 32 pixels" in e.message for e in listener.of(Progress))
    assert listener.end.result.scene.bar_scale is not None


def test_out_of_memory_again_ends_the_job_with_the_way_out(tall, carry_out):
    end = carry_out(unreadable(tall, 40, granted=1), options=SMALL).end
    assert isinstance(end, Failed)
    assert "out of memory" in end.error
    assert "smaller view" in end.error


def test_tiles_without_data_do_not_stop_the_whole(tall, carry_out):
    """The corner of a turned footprint: a third of the rows is missing in all frames."""
    frames = tall.copy()
    frames[:, :, :50] = np.nan
    estimate = carry_out(unreadable(frames, 60, granted=1), options=SMALL).end.result.estimate
    assert np.isfinite(estimate.mean).all()
    assert (estimate.variance > 0).all()
    assert estimate.variance[:, :80].mean() > 2 * estimate.variance[:, 120:].mean()


def test_a_view_without_data_is_refused(tall, carry_out):
    frames = tall.copy()
    frames[:, :, :50] = np.nan
    end = carry_out(frames, view=View(4, 30, 4, 20), options={"register": {"method": "none"}}).end
    assert isinstance(end, Failed)
    assert "4:30,4:20" in end.error

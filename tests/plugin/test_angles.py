"""Spectral angle maps: their values by the plain formula, their place on the canvas, and what is expected of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsimisr.cube import Cube
from hsimisr.errors import StackError
from hsimisr.geometry import Grid, View, translation
from hsimisr.metrics import spectral_angle
from hsimisr.physics.types import Estimate, FrameMotion, PowerSpectrum, Registration, SceneModel, Subspace
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Finished
from napari_hsimisr import counterpart
from napari_hsimisr.angles import Against, AgainstCube, AgainstFrames, AngleMap, Target, plan_angles
from napari_hsimisr.session import NamedSpectrum
from napari_hsimisr.view import world_at

H, W, S, B, R = 12, 15, 2, 6, 3
SHIFT = (1.5, -2.25)
KINK = 0.003
"""What a ramp of 1 per LR pixel, mirrored at the border of the result, rings under a box PSF 1.5 LR pixels inside."""


def finish(desk, view: View | None = None):
    desk.session.refine(PipelineConfig(), whole=True)
    desk.session.handle(Finished(desk.jobs[-1].number, desk.result(view)))
    return desk.session


def read(session, target: Target) -> AngleMap:
    plan = plan_angles(session, target)
    assert plan is not None
    return plan.read()


def known(found: AngleMap) -> np.ndarray:
    return found.degrees.values[np.isfinite(found.degrees.values)]


def estimate_of(seed: int = 0) -> Estimate:
    """Six bands from three eigen-images and a residual, with error bars; spectra far from zero."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(B, R)))[0]
    subspace = Subspace(np.linspace(50, 90, B), np.linspace(1, 2, B), vectors, np.ones(R), np.zeros(B, bool))
    return Estimate(
        mean=rng.normal(size=(R, H * S, W * S)).astype(np.float32),
        subspace=subspace,
        grid=Grid(S, (0, 0), (H * S, W * S)),
        variance=rng.uniform(0.2, 2, (R, H * S, W * S)).astype(np.float32),
        residual=rng.normal(size=(B, H, W)).astype(np.float32),
        residual_variance=np.full(B, 0.3),
    )


def against(estimate: Estimate, values: np.ndarray) -> AngleMap:
    frame = Cube.from_array(np.zeros((B, H, W), np.float32))
    other = Cube.from_array(values.astype(np.float32), name="other")
    return AgainstCube(estimate, counterpart.counterpart(other, estimate, frame)).read()


def test_frames_that_the_result_predicts_have_no_angle(desk) -> None:
    session = finish(desk)
    for target in (Target(Against.FRAMES), Target(Against.FRAME, session.frames[1])):
        found = read(session, target)
        assert known(found).size > 150
        y, x = np.argwhere(np.isfinite(found.degrees.values)).T
        ground = found.degrees.to_reference @ np.stack([y, x, np.ones_like(x)])  # bands hold the scene's own y and x
        assert (known(found) < np.degrees(2 * KINK / np.hypot(*ground[:2]))).all()
        assert found.expected > 1  # unit noise on values up to 23


def test_a_frame_that_moved_differently_has_the_angle_of_the_plain_formula(desk) -> None:
    session = finish(desk)
    assert session.result is not None
    scene, off = session.result.scene, np.array([0.4, -0.3])
    moved = replace(scene.registration.frames[1], matrix=translation(SHIFT + off))
    wrong = Registration((scene.registration.frames[0], moved))
    session.result = replace(session.result, scene=replace(scene, registration=wrong))
    found = read(session, Target(Against.FRAME, session.frames[1]))
    seen = np.argwhere(np.isfinite(found.degrees.values))
    for row, column in seen[::37]:
        ground = found.degrees.to_reference @ (row, column, 1)
        measured, predicted = ground[:2] + off, ground[:2]
        norm = np.linalg.norm(measured)
        angle = np.degrees(np.arccos(measured @ predicted / norm / np.linalg.norm(predicted)))
        tolerance = np.degrees(2 * KINK / min(norm, np.linalg.norm(predicted)))
        assert found.degrees.values[row, column] == pytest.approx(angle, abs=tolerance)


@pytest.mark.parametrize("view", [None, View(4, 18, 3, 16)])
def test_a_cube_is_compared_pixel_by_pixel_wherever_the_view_lies(desk, view: View | None) -> None:
    session = finish(desk, view)
    estimate = session.estimate
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 20, (2, 48, 40)).astype(np.float32)
    layer = desk.viewer.add_image(truth, name="truth")
    found = read(session, Target(Against.CUBE, layer))
    v = estimate.grid.view
    part = truth[:, 2 * v.y0 : 2 * v.y1, 2 * v.x0 : 2 * v.x1]
    np.testing.assert_allclose(found.degrees.values, spectral_angle(estimate.bands(), part), rtol=1e-5)
    cropped = desk.viewer.add_image(part, name="the view of it")
    again = read(session, Target(Against.CUBE, cropped))
    np.testing.assert_array_equal(again.degrees.values, found.degrees.values)
    np.testing.assert_allclose(found.degrees.to_reference @ (-0.5, -0.5, 1), (v.y0 - 0.5, v.x0 - 0.5, 1))


def test_a_cube_on_the_grid_of_the_frames_is_compared_with_the_mean_over_each_pixel() -> None:
    estimate = estimate_of()
    values = np.random.default_rng(1).uniform(10, 90, (B, H, W))
    found = against(estimate, values)
    mean = estimate.bands().reshape(B, H, S, W, S).mean((2, 4))
    np.testing.assert_allclose(found.degrees.values, spectral_angle(mean, values), rtol=1e-4)
    assert found.ratio is None


def test_working_in_strips_changes_nothing(monkeypatch) -> None:
    estimate, values = estimate_of(), np.random.default_rng(1).uniform(10, 90, (B, H * S, W * S))
    whole = against(estimate, values)
    monkeypatch.setattr(counterpart, "STRIP", B * W * S * S * 3)  # three rows
    pieces = against(estimate, values)
    np.testing.assert_allclose(pieces.degrees.values, whole.degrees.values, rtol=1e-6)
    np.testing.assert_allclose(whole.degrees.values, spectral_angle(estimate.bands(), values), rtol=1e-4)


def test_errors_as_large_as_the_error_bars_say_give_a_ratio_of_1() -> None:
    estimate, rng = estimate_of(), np.random.default_rng(2)
    assert estimate.variance is not None
    assert estimate.residual_variance is not None
    drawn = estimate.mean + np.sqrt(estimate.variance) * rng.normal(size=estimate.mean.shape).astype(np.float32)
    truth = replace(estimate, mean=drawn).bands()
    truth += np.sqrt(0.3) * rng.normal(size=truth.shape).astype(np.float32)
    found = against(estimate, truth)
    assert found.ratio is not None
    squares = found.ratio.values.astype(float) ** 2
    assert np.mean(squares) == pytest.approx(1, abs=4 * np.std(squares) / np.sqrt(squares.size) + 0.02)


def test_noise_alone_gives_a_ratio_of_1() -> None:
    estimate, rng = replace(estimate_of(), residual=None), np.random.default_rng(3)
    flat = replace(estimate, mean=np.full_like(estimate.mean, 0.5))
    motions = tuple(FrameMotion(translation(shift)) for shift in ((0, 0), (0.5, -0.3)))
    scene = SceneModel(
        Registration(motions), "mtf:0.29", flat.subspace, PowerSpectrum(np.array([0.0, 1.0]), np.ones((R, 2))), S
    )
    spectrum = flat.bands()[:, :1, :1]
    noise = flat.subspace.sigma[:, None, None] * rng.normal(size=(2, B, H, W))
    cubes = [Cube.from_array((spectrum + n).astype(np.float32)) for n in noise]
    for frames in (cubes[:1], cubes):
        found = AgainstFrames(flat, scene, tuple(zip(frames, motions, strict=False)), "frames").read()
        assert found.ratio is not None
        ratio = found.ratio.values[np.isfinite(found.ratio.values)].astype(float)
        assert ratio.size >= (H - 2) * (W - 2) - 2 * (H + W)
        assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1, abs=0.1)


def test_the_pinned_spectrum_has_no_angle_to_itself(desk) -> None:
    session = finish(desk)
    session.set_pin(world_at(session.frames[0], (9.25, 6.75)))
    found = read(session, Target(Against.PIN))
    assert found.degrees.values[19, 14] == pytest.approx(0, abs=1e-5)
    y, x = session.estimate.bands()
    steeper = np.abs(np.degrees(np.arctan2(y, x) - np.arctan2(9.25, 6.75)))
    np.testing.assert_allclose(found.degrees.values, np.minimum(steeper, 360 - steeper), atol=1e-4)


def test_what_cannot_be_compared_is_explained(desk) -> None:
    session = finish(desk, View(4, 10, 4, 10))
    with pytest.raises(StackError, match="no spectrum is pinned"):
        read(session, Target(Against.PIN))
    session.set_pin(world_at(session.frames[0], (20.0, 5.0)))
    with pytest.raises(StackError, match="outside of what was refined"):
        read(session, Target(Against.PIN))
    for shape, message in (((3, 48, 40), "3 bands"), ((2, 30, 30), "choose a cube of 48 x 40")):
        layer = desk.viewer.add_image(np.ones(shape, np.float32))
        with pytest.raises(StackError, match=message):
            read(session, Target(Against.CUBE, layer))
    extra = desk.viewer.add_image(np.ones((2, H, W), np.float32))
    with pytest.raises(StackError, match="took no part"):
        read(session, Target(Against.FRAME, extra))


def test_without_a_result_there_is_nothing_to_plan(desk) -> None:
    assert plan_angles(desk.session, Target(Against.FRAMES)) is None


def test_a_library_entry_is_compared_over_the_bands_it_has(desk) -> None:
    session = finish(desk)
    with pytest.raises(StackError, match="no library entry is selected"):
        read(session, Target(Against.ENTRY))
    session.set_entry(NamedSpectrum("grass", np.array([2.0, 1.0], np.float32)))
    found = read(session, Target(Against.ENTRY))
    y, x = session.estimate.bands()
    turned = np.abs(np.degrees(np.arctan2(y, x) - np.arctan2(2.0, 1.0)))
    np.testing.assert_allclose(found.degrees.values, np.minimum(turned, 360 - turned), atol=1e-4)
    assert found.against == "grass, 2 bands"
    for values, message in (([2.0, np.nan], "fewer than two"), ([1.0, 2.0, 3.0], "other bands")):
        session.set_entry(NamedSpectrum("grass", np.array(values, np.float32)))
        with pytest.raises(StackError, match=message):
            read(session, Target(Against.ENTRY))

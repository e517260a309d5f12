"""Displacements: their transposes, their normal matrices, and what composing a motion with one does to its points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from hsimisr.geometry import apply_motion, translation
from hsimisr.physics.motion import forward_motion
from hsimisr.physics.types import FrameMotion
from hsimisr.registration.displacement import BEND, KNOT_SPACING, TERMS, Polynomial, SplineField

CPU = torch.device("cpu")
EPS = float(np.finfo(np.float32).eps)
SHAPE = (21, 30)
KINDS = [*TERMS, "local"]
CORNER = (3, -2)

every_basis = pytest.mark.parametrize("kind", KINDS)


def basis_of(kind, shape=SHAPE):
    return SplineField.build(shape, CPU) if kind == "local" else Polynomial.build(kind, shape, CPU)


def draw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def turned(kind):
    """A motion that is none of the simple ones, with a field where the displacement is local."""
    matrix = translation((1.3, -0.7)) @ np.array([[1.01, -0.03, 0], [0.02, 0.98, 0], [1e-4, -2e-4, 1]])
    field = np.zeros((2, 24, 26), np.float32) if kind == "local" else None
    return FrameMotion(matrix, field=field)


def middle_points(steps=9):
    """Reference points ``(n, 2)`` that every motion here leaves inside the grid of the displacement."""
    return np.stack(np.meshgrid(np.arange(7, 7 + steps), np.arange(4, 4 + steps), indexing="ij"), -1).reshape(-1, 2)


@every_basis
def test_the_transpose_is_the_transpose(kind):
    basis = basis_of(kind)
    parameters, field = draw(3, basis.count), draw(3, 2, *SHAPE, seed=1).float()
    forward = (basis.field(parameters).double() * field).sum(dtype=torch.float64)
    backward = (parameters * basis.transpose(field)).sum()
    # sums of that many float32 products, each rounded
    assert abs(forward - backward) <= 20 * EPS * basis.field(parameters).double().norm() * field.double().norm()


@every_basis
@pytest.mark.parametrize("shape", [SHAPE, (3, 5), (33, 17)])
def test_the_normal_matrix_is_the_dense_product(kind, shape):
    basis = basis_of(kind, shape)
    root = draw(2, 2, 2, *shape).float()
    weight = torch.einsum("kachw,kbchw->kabhw", root, root)
    units = basis.field(torch.eye(basis.count)).double()
    dense = torch.einsum("pahw,kabhw,qbhw->kpq", units, weight.double(), units)
    found = basis.normal(weight)
    assert (found - dense).abs().max() <= 50 * EPS * dense.abs().max()
    assert torch.allclose(found, found.mT, rtol=1e-5, atol=1e-5 * float(found.abs().max()))


@every_basis
def test_a_composed_motion_moves_points_as_the_field_says(kind):
    """Where a frame showed a point at q it now shows it at q + d(q), up to the square of the displacement."""
    basis, motion, points = basis_of(kind), turned(kind), middle_points()
    size = 1e-3
    parameters = size * draw(basis.count).numpy()
    moved = basis.compose(motion, parameters, CORNER)
    before = forward_motion(motion, points)
    where = before - np.asarray(CORNER)
    said = np.stack(
        [_spline_of(part, where) for part in basis.field(torch.from_numpy(parameters)[None])[0].numpy()], -1
    )
    done = forward_motion(moved, points) - before
    largest = np.abs(said).max()
    assert largest > size / 10
    # second order over a radius of 15 px; a spline read between pixels and a field kept in float32
    assert np.abs(done - said).max() <= largest**2 + 3e-3 * largest


def _spline_of(image, where):
    return map_coordinates(image.astype(float), where.T, order=3, mode="nearest")


def test_an_affine_displacement_is_composed_exactly():
    """However large: it moves the frame's points, so the matrix is multiplied from the left."""
    basis, motion, points = basis_of("affine"), turned("affine"), middle_points()
    parameters = np.array([1.5, -2.0, 0.6, -0.9, 1.1, 0.4])
    moved = basis.compose(motion, parameters, CORNER)
    before = forward_motion(motion, points)
    u = (before - np.asarray(CORNER) - (np.asarray(SHAPE) - 1) / 2) / (max(SHAPE) / 2)
    linear = np.array([[0.6, -0.9], [1.1, 0.4]])
    assert forward_motion(moved, points) - before == pytest.approx(parameters[:2] + u @ linear.T, abs=1e-12)


@pytest.mark.parametrize("kind", list(TERMS))
def test_matrices_are_normalised_and_named_by_their_kind(kind):
    basis = basis_of(kind)
    moved = basis.compose(turned(kind), 0.5 * draw(basis.count).numpy(), CORNER)
    assert moved.matrix[2, 2] == 1
    assert moved.model == kind
    assert moved.field is None


def test_a_poorer_displacement_does_not_rename_a_motion():
    """A turned frame that is shifted is a turned frame."""
    turn = basis_of("affine").compose(FrameMotion(np.eye(3)), np.array([0, 0, 0.1, 0.5, -0.5, 0.1]), CORNER)
    moved = basis_of("translation").compose(turn, np.array([0.3, -0.2]), CORNER)
    assert moved.model == "affine"
    assert np.array_equal(moved.matrix[:2, :2], turn.matrix[:2, :2])


def test_a_rigid_displacement_keeps_a_local_field():
    motion = turned("local")
    bent = FrameMotion(motion.matrix, field=motion.field + 0.2, model="local")
    moved = basis_of("translation").compose(bent, np.array([0.3, -0.2]), CORNER)
    assert moved.model == "local"
    assert np.array_equal(moved.field, bent.field)
    assert forward_motion(moved, middle_points()) == pytest.approx(
        apply_motion(translation((0.3, -0.2)) @ motion.matrix, middle_points()) + 0.2, abs=1e-6
    )


def test_polynomial_parameters_are_pixels_at_the_edge_of_the_grid():
    for kind, terms in TERMS.items():
        fields = basis_of(kind).field(torch.eye(terms)).abs().amax((1, 2, 3))
        # the last pixel's centre stands half a pixel inside the edge
        side = SHAPE[0] / max(SHAPE)
        expected = [1.0, 1.0, side, 1.0, side, 1.0, side, 1.0]
        slack = 1 / max(SHAPE)
        assert fields.numpy() == pytest.approx(expected[:terms], abs=2 * slack)


@pytest.mark.parametrize("wave", [32.0, 40.0])
def test_splines_reproduce_a_smooth_field(wave):
    """The best approximation of a wave by cubic splines with knots h apart is off by about (2 pi h / wave)^4 / 384."""
    shape = (40, 44)
    basis = basis_of("local", shape)
    y, x = np.indices(shape)
    field = np.stack([np.sin(2 * np.pi * y / wave), np.cos(2 * np.pi * (0.6 * y + 0.8 * x) / wave)])
    dense = basis.field(torch.eye(basis.count)).double().reshape(basis.count, -1).T.numpy()
    left = dense @ np.linalg.lstsq(dense, field.ravel(), rcond=None)[0] - field.ravel()
    # both axes may be off; an interpolating spline is at most 4 times as far off as the best at the borders
    assert np.abs(left).max() < 2 * 4 * (2 * np.pi * KNOT_SPACING / wave) ** 4 / 384


def test_knots_span_the_grid():
    """The splines add up to 1 on every pixel, and every one of them is felt somewhere."""
    for shape in ((3, 5), (16, 17), (40, 44)):
        basis = basis_of("local", shape)
        assert basis.field(torch.ones(1, basis.count)).numpy() == pytest.approx(1, abs=10 * EPS)
        assert (basis.field(torch.eye(basis.count)).abs().amax((1, 2, 3)) > 0).all()


def grid_of(basis):
    m, n = len(basis.rows), len(basis.cols)
    return np.meshgrid(np.arange(m) - (m - 1) / 2, np.arange(n) - (n - 1) / 2, indexing="ij")


def test_affine_fields_cost_nothing_and_bends_do():
    """But for a ridge of a thousandth that keeps the system solvable."""
    basis = basis_of("local")
    i, j = grid_of(basis)
    energy = basis.penalty.numpy()

    def cost(part):
        both = np.concatenate([part.ravel(), np.zeros(part.size)])
        return both @ energy @ both / (both**2).sum()

    for affine in (np.ones_like(i), i, j, 0.4 + 0.3 * i - 0.2 * j):
        assert cost(affine) == pytest.approx(1e-3, rel=1e-6)
    for bend in (i**2, j**2, i * j, np.sin(i)):
        assert cost(bend) > 0.01
    assert np.linalg.eigvalsh(energy).min() > 0


def test_a_bend_of_the_expected_size_costs_one_per_second_difference():
    basis = basis_of("local")
    i, _ = grid_of(basis)
    bent = np.concatenate([(BEND / 2 * i**2).ravel(), np.zeros(i.size)])
    ridge = 1e-3 * (bent**2).sum()
    assert bent @ basis.penalty.numpy() @ bent - ridge == pytest.approx((i.shape[0] - 2) * i.shape[1], rel=1e-9)


def test_rigid_displacements_cost_nothing():
    for kind in TERMS:
        assert not basis_of(kind).penalty.any()


def test_a_local_displacement_needs_a_field_to_add_to():
    basis = basis_of("local")
    with pytest.raises(ValueError, match="needs a motion with a field"):
        basis.compose(FrameMotion(np.eye(3)), np.zeros(basis.count), (0, 0))

"""Mistakes that other landscape tools made, one test each (docs/landscape.md §12)."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from landscape import geometry
from smac.errors import UserError

SHAPES = {"net.hidden.0.weight": (5, 3), "net.hidden.0.bias": (5,), "net.head.weight": (2, 5)}


def network(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


LAYOUT = geometry.layout_of(network(0))
A, B, C = (geometry.flatten(network(seed), LAYOUT) for seed in (1, 2, 3))


def test_the_first_grid_value_is_the_start_and_the_last_is_the_end() -> None:
    start, end, stored = network(1), network(2), network(1)
    points = list(geometry.line(start, end, geometry.line_alphas(7)))
    for name in SHAPES:
        np.testing.assert_array_equal(points[0][name], start[name])
        np.testing.assert_array_equal(points[-1][name], end[name])
        np.testing.assert_array_equal(start[name], stored[name])
    for kind in ("polygonal", "bezier"):
        curve = geometry.straight_chain(kind, A, B)
        first, *_, last = curve.points(curve.equal_steps(5))
        np.testing.assert_array_equal(first, A)
        np.testing.assert_array_equal(last, B)


def test_the_points_of_a_plane_through_checkpoints_are_the_checkpoints() -> None:
    originals = [x.copy() for x in (A, B, C)]
    plane = geometry.plane_through(A, B, C)
    on_grid = {tuple(xy) for xy in plane.grid(8).coordinates}
    for anchor, vector in zip(plane.anchors, originals, strict=True):
        assert (anchor.x, anchor.y) in on_grid
        np.testing.assert_array_equal(plane.point(anchor.x, anchor.y), vector)
        plane.point(anchor.x, anchor.y)[:] = 99  # what a caller does to a point must not reach the plane
        np.testing.assert_array_equal(plane.point(anchor.x, anchor.y), vector)
    for vector, before in zip((A, B, C), originals, strict=True):
        np.testing.assert_array_equal(vector, before)


def test_no_column_of_a_plane_is_shifted() -> None:
    plane = geometry.plane_along(A, B - A, C - A)
    grid = geometry.Grid(geometry.axis(0, 1, 4), geometry.axis(-1, 2, 6))
    found = [((v - A) @ plane.basis[0], (v - A) @ plane.basis[1]) for v in plane.points(grid.coordinates)]
    x, y = np.moveaxis(grid.surface(np.array(found)), -1, 0)
    np.testing.assert_allclose(x, np.tile([0, 1 / 3, 2 / 3, 1], (6, 1)), atol=1e-12)
    np.testing.assert_allclose(y, np.tile([-1, -0.4, 0.2, 0.8, 1.4, 2], (4, 1)).T, atol=1e-12)


@pytest.mark.parametrize("distance", [0.5, 4.0])
def test_a_larger_distance_gives_a_larger_range(distance: float) -> None:
    direction = geometry.random_direction(LAYOUT.dimension, seed=0)
    labels = np.linspace(-distance, distance, 5)
    moved = [np.linalg.norm(point - A) for point in geometry.ray(A, direction, labels)]
    np.testing.assert_allclose(moved, np.abs(labels))


def test_the_label_of_a_point_is_its_measured_displacement() -> None:
    plane = geometry.plane_with_random(A, B, LAYOUT, seed=0)
    grid = plane.grid(5, 4, margin=0)
    assert grid.xs[0] == 0  # from one checkpoint to the other, and not a step less
    assert grid.xs[-1] == pytest.approx(np.linalg.norm(B - A))
    for (x, y), point in zip(grid.coordinates, plane.points(grid.coordinates), strict=True):
        assert np.linalg.norm(point - A) == pytest.approx(np.hypot(x, y))


def test_orthogonal_directions_are_orthogonal() -> None:
    directions = geometry.random_orthogonal_directions(5, 1000, seed=0)
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-12)
    for plane in (
        geometry.plane_with_random(A, B, LAYOUT, seed=0),
        geometry.plane_through(A, B, C),
        geometry.plane_through(A, B, B + 1e-4 * C),  # nearly collinear: where one pass would lose digits
    ):
        np.testing.assert_allclose(plane.basis @ plane.basis.T, np.eye(2), atol=1e-12)


def test_random_directions_are_centred_and_not_parallel() -> None:
    u, v = (geometry.random_direction(20_000, seed) for seed in (0, 1))
    assert abs(u.mean()) < 4 / np.sqrt(20_000)
    assert abs(geometry.cosine(u, v)) < 4 / np.sqrt(20_000)


def test_filter_norms_are_taken_over_the_input_axis() -> None:
    direction = geometry.random_direction(LAYOUT.dimension, seed=0)
    normalised = geometry.unflatten(geometry.filter_normalise(direction, A, LAYOUT), LAYOUT)
    theta = geometry.unflatten(A, LAYOUT)
    for name in ("net.hidden.0.weight", "net.head.weight"):
        rows = np.linalg.norm(normalised[name], axis=1)
        assert len(rows) == SHAPES[name][0]
        np.testing.assert_allclose(rows, np.linalg.norm(theta[name], axis=1), rtol=1e-6)


def asymmetric(point: np.ndarray, plane: geometry.Plane) -> float:
    away = point - plane.origin
    return float(away @ plane.basis[0] + 100 * (away @ plane.basis[1]))


@pytest.mark.parametrize(("nx", "ny"), [(8, 5), (5, 8), (6, 6), (7, 7)])
def test_a_surface_is_not_transposed_and_a_rectangle_not_scrambled(nx: int, ny: int) -> None:
    plane = geometry.plane_through(A, B, C)
    grid = plane.grid(nx, ny)
    values = [asymmetric(point, plane) for point in plane.points(grid.coordinates)]
    surface = grid.surface(np.array(values))
    assert surface.shape == grid.shape == (ny, nx)
    np.testing.assert_allclose(surface, grid.xs[None, :] + 100 * grid.ys[:, None], atol=1e-9)


def test_a_bound_of_exactly_zero_is_a_bound() -> None:
    np.testing.assert_array_equal(geometry.parse_axis("0:1:21"), np.linspace(0, 1, 21))
    np.testing.assert_array_equal(geometry.parse_axis("-2:0:3"), [-2, -1, 0])


def test_negative_values_and_nan_survive_the_surface() -> None:
    grid = geometry.Grid(geometry.axis(0, 1, 3), geometry.axis(0, 1, 2))
    surface = grid.surface(np.array([-1.0, -500.0, 0.0, np.nan, 2.0, -1.0]))
    np.testing.assert_array_equal(surface, [[-1, -500, 0], [np.nan, 2, -1]])


def test_another_seed_gives_another_direction_and_is_recorded() -> None:
    planes = [geometry.plane_with_random(A, B, LAYOUT, seed=seed) for seed in (0, 1)]
    assert abs(geometry.cosine(planes[0].basis[1], planes[1].basis[1])) < 0.9
    assert abs(geometry.cosine(planes[0].basis[0], planes[0].basis[1])) < 1e-12
    assert [plane.to_json()["seed"] for plane in planes] == [0, 1]


def test_the_same_seed_gives_the_same_direction_in_another_process() -> None:
    code = (
        "from landscape import geometry as g;"
        "print(g.random_direction(3, 5).tolist(), g.random_orthogonal_directions(2, 3, 5).tolist())"
    )
    drawn = (geometry.random_direction(3, 5), geometry.random_orthogonal_directions(2, 3, 5))
    here = " ".join(str(draw.tolist()) for draw in drawn)
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here


def test_a_scaled_direction_has_unit_norm() -> None:
    direction = np.array([3.0, -4.0, 1.0, -1.0])  # its sum is negative, its norm is not
    np.testing.assert_allclose(geometry.unit(direction), direction / np.sqrt(27))
    for vector in (direction, A, geometry.random_direction(100, 0)):
        assert np.linalg.norm(geometry.unit(vector)) == pytest.approx(1)


def test_memory_does_not_grow_with_the_grid() -> None:
    rng = np.random.default_rng(0)
    plane = geometry.plane_through(*rng.normal(size=(3, 50_000)))
    curve = geometry.straight_chain("bezier", plane.origin, plane.anchors[1].vector)

    def peak(n: int) -> int:
        tracemalloc.start()
        for point in plane.points(plane.grid(n, n).coordinates):
            assert point.shape == (50_000,)
        for point in curve.points(curve.equal_steps(n)):
            assert point.shape == (50_000,)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(15) < 1.2 * peak(5)


def test_biases_are_never_copied_or_scaled_twice() -> None:
    bias = LAYOUT.slices["net.hidden.0.bias"]
    direction = geometry.random_direction(LAYOUT.dimension, seed=0)
    sizes = {}
    for one_d in ("zero", "match", "keep"):
        once = geometry.filter_normalise(direction, A, LAYOUT, one_d)
        twice = geometry.filter_normalise(once, A, LAYOUT, one_d)
        np.testing.assert_allclose(twice, once, rtol=1e-12)
        sizes[one_d] = np.linalg.norm(once[bias])
        assert abs(geometry.cosine(once, A)) < 0.9  # a direction, not the reference itself
    assert sizes == pytest.approx(
        {"zero": 0, "match": np.linalg.norm(A[bias]), "keep": np.linalg.norm(direction[bias])}
    )


def test_skewed_axes_are_solved_and_not_projected_by_cosine() -> None:
    u, v = B - A, C - A
    coordinates, residual, share = geometry.coordinates_in(np.stack([u, v]), A, A + 2 * u - 3 * v)
    np.testing.assert_allclose(coordinates, [2, -3])
    assert residual == pytest.approx(0, abs=1e-12)
    assert share == pytest.approx(0, abs=1e-12)


def test_a_checkpoint_off_the_plane_says_so() -> None:
    plane = geometry.plane_along(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    off = plane.project(np.array([3.0, 4.0, 12.0]))
    assert (off.x, off.y, off.residual) == (3, 4, 12)
    assert off.share == pytest.approx(12 / 13)


def test_a_plane_of_equal_or_collinear_checkpoints_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="'off' and 'mid' are equal"):
        geometry.plane_through(A, B, A, ("off", "on", "mid"))
    with pytest.raises(UserError, match=r"'off', 'on' and 'mid' span no plane: .*collinear.* 180 degrees"):
        geometry.plane_through(A, B, 2 * A - B, ("off", "on", "mid"))

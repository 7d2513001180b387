"""Planes, grids and projections against the analytic answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape import geometry
from smac.errors import UserError

seeds = st.integers(0, 2**32)


def triangle(seed: int, dimension: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, dimension))


# ---- grids -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    knots=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6, unique=True),
    extra=st.integers(0, 60),
)
def test_a_knotted_grid_holds_every_knot(knots: list[float], extra: int) -> None:
    knots = sorted(set(np.round(knots, 6) + 0.0))
    if len(knots) < 2:
        return
    points = geometry.knotted(knots, len(knots) + extra)
    assert len(points) == len(knots) + extra
    assert set(knots) <= set(points)
    assert (np.diff(points) > 0).all()
    assert (points[0], points[-1]) == (knots[0], knots[-1])


def test_a_knotted_grid_makes_its_widest_gap_as_narrow_as_it_can() -> None:
    np.testing.assert_allclose(geometry.knotted([0, 1, 4], 5), [0, 1, 2, 3, 4])
    np.testing.assert_allclose(geometry.knotted([0, 1, 4], 9), np.arange(9) / 2)
    np.testing.assert_allclose(geometry.knotted([0, 1, 4], 4), [0, 1, 2.5, 4])
    np.testing.assert_allclose(geometry.knotted([0, 0.01, 1], 5), [0, 0.01, 0.34, 0.67, 1])


@pytest.mark.parametrize("text", ["0:1", "1:0:5", "0:0:5", "0:1:1", "a:1:5", "0:1:2.5", "0:nan:5", "0:inf:3"])
def test_impossible_axes_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        geometry.parse_axis(text)


def test_impossible_grids_are_refused() -> None:
    with pytest.raises(UserError, match="through 3 fixed positions needs as many points, got 2"):
        geometry.knotted([0, 1, 2], 2)
    with pytest.raises(UserError, match="two different"):
        geometry.knotted([1, 1], 5)
    grid = geometry.Grid(geometry.axis(0, 1, 3), geometry.axis(0, 1, 2))
    for wrong in (np.zeros(5), np.zeros((2, 3)), np.float64(1)):
        with pytest.raises(UserError, match="2 rows and 3 columns"):
            grid.surface(wrong)


# ---- planes ------------------------------------------------------------------------------------------------


def test_a_right_triangle_by_hand() -> None:
    a, b, c = np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 4.0]), np.array([1.0, 3.0, 2.0])
    plane = geometry.plane_through(a, b, c, ("off", "on", "mid"))
    np.testing.assert_allclose(plane.basis, [[0, 0, 1], [0, 1, 0]], atol=1e-15)
    assert [(x.name, x.x, x.y) for x in plane.anchors] == [("off", 0, 0), ("on", 3, 0), ("mid", 1, 2)]
    assert plane.cosine == pytest.approx(1 / np.sqrt(5))
    np.testing.assert_allclose(plane.ranges(), [[-0.6, 3.6], [-0.4, 2.4]])
    assert plane.aspect == pytest.approx(2 / 3)
    assert plane.to_json() == {
        "kind": "checkpoints",
        "anchors": {"off": [0, 0], "on": [3, 0], "mid": [1, 2]},
        "units": [{"name": "distance", "length": 1.0}] * 2,
        "aspect": plane.aspect,
        "cosine": plane.cosine,
        "seed": None,
    }
    grid = plane.grid(31)
    assert grid.shape == (21, 31)
    assert grid.aspect == pytest.approx(plane.aspect)
    for anchor in plane.anchors:
        assert anchor.x in grid.xs
        assert anchor.y in grid.ys


@settings(deadline=None)
@given(seed=seeds)
def test_a_plane_keeps_all_distances_of_its_checkpoints(seed: int) -> None:
    vectors = triangle(seed)
    plane = geometry.plane_through(*vectors)
    xy = np.array([(anchor.x, anchor.y) for anchor in plane.anchors])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(xy[i] - xy[j]) == pytest.approx(np.linalg.norm(vectors[i] - vectors[j]))
    assert xy[1, 0] > 0 == xy[1, 1]
    assert xy[2, 1] > 0
    for vector, (x, y) in zip(vectors, xy, strict=True):
        np.testing.assert_array_equal(plane.point(x, y), vector)
        np.testing.assert_allclose(plane.origin + [x, y] @ plane.basis, vector, atol=1e-12)


@settings(deadline=None)
@given(seed=seeds, x=st.floats(-10, 10), y=st.floats(-10, 10), off=st.floats(0, 10))
def test_projection_gives_back_coordinates_and_distance(seed: int, x: float, y: float, off: float) -> None:
    plane = geometry.plane_through(*triangle(seed))
    away = np.random.default_rng(seed + 1).normal(size=20)
    away -= away @ plane.basis.T @ plane.basis
    away *= off / np.linalg.norm(away)
    found = plane.project(plane.point(x, y) + away)
    assert (found.x, found.y) == pytest.approx((x, y), abs=1e-11)
    assert found.residual == pytest.approx(off, abs=1e-11)
    distance = np.sqrt(x**2 + y**2 + off**2)
    if distance > 1e-3:
        assert found.share == pytest.approx(off / distance, abs=1e-8)


def test_the_origin_has_no_residual() -> None:
    plane = geometry.plane_through(*triangle(0))
    assert plane.project(plane.origin) == geometry.Projection(0, 0, 0, 0)


@settings(deadline=None)
@given(seed=seeds, rigid=st.booleans())
def test_a_plane_turns_and_shifts_with_its_checkpoints(seed: int, rigid: bool) -> None:
    vectors = triangle(seed, 6)
    rotation = geometry.random_orthogonal_directions(6, 6, seed)
    turned = vectors @ rotation + 3.0
    xy = [[(a.x, a.y) for a in geometry.plane_through(*t).anchors] for t in (vectors, turned)]
    np.testing.assert_allclose(*xy, atol=1e-10)


@settings(deadline=None)
@given(seed=seeds, count=st.integers(1, 5))
def test_least_squares_in_skewed_axes_matches_the_normal_equations(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    directions, origin, vector = rng.normal(size=(count, 20)), rng.normal(size=20), rng.normal(size=20)
    coordinates, residual, share = geometry.coordinates_in(directions, origin, vector)
    gram = directions @ directions.T
    expected = np.linalg.solve(gram, directions @ (vector - origin))
    np.testing.assert_allclose(coordinates, expected, atol=1e-8)
    left = vector - origin - expected @ directions
    assert residual == pytest.approx(np.linalg.norm(left))
    assert share == pytest.approx(np.linalg.norm(left) / np.linalg.norm(vector - origin))


def test_dependent_directions_are_refused() -> None:
    u = np.arange(1.0, 6.0)
    with pytest.raises(UserError, match="2 directions span only 1"):
        geometry.coordinates_in(np.stack([u, 1e8 * u]), u, u + 1)
    with pytest.raises(UserError, match="zero"):
        geometry.coordinates_in(np.stack([u, 0 * u]), u, u + 1)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (([0, 0], [0, 0], [1, 1]), "'a' and 'b' are equal"),
        (([0, 0], [1, 0], [1, 0]), "'b' and 'c' are equal"),
        (([0, 0], [1, 0], [3, 0]), "between them is 0 degrees"),
        (([0, 0], [1, 0], [2, 1e-6]), r"between them is 2\.86e-05 degrees"),
        (([0, 0], [1, 0], [np.nan, 1]), "c holds 1 numbers that are not finite"),
        (([0, 0], [1, 0], [1, 1, 1]), "c has dimension 3 but a has 2"),
    ],
)
def test_a_degenerate_plane_says_why(vectors: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        geometry.plane_through(*(np.array(v, float) for v in vectors))


def test_a_basis_that_is_not_orthonormal_is_refused() -> None:
    origin = np.zeros(2)
    for basis in ([[1, 0], [0.1, 1]], [[1, 0], [0, 2]]):
        with pytest.raises(UserError, match="orthonormal"):
            geometry.Plane("user", origin, np.array(basis, float))
    with pytest.raises(UserError, match="does not fit"):
        geometry.Plane("user", origin, np.eye(3))


def test_coordinates_that_differ_by_rounding_share_a_grid_line() -> None:
    a, b, c = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.2, 0.3]), np.array([0.1 + 1e-17, 0.7, 1.1])
    plane = geometry.plane_through(a, b, c)
    assert plane.anchors[2].x == plane.anchors[0].x == 0
    np.testing.assert_array_equal(plane.point(plane.anchors[2].x, plane.anchors[2].y), c)
    assert np.diff(plane.grid(9).xs).min() > 1e-3


def test_a_plane_with_a_random_axis_is_a_line_one_way_and_filters_the_other() -> None:
    layout = geometry.layout_of({"w": np.zeros((40, 30)), "b": np.zeros(40)})
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, layout.dimension))
    plane = geometry.plane_with_random(start, end, layout, seed=7)
    length = np.linalg.norm(end - start)
    assert [(x.name, x.y) for x in plane.anchors] == [("from", 0), ("to", 0)]
    assert plane.anchors[1].x == pytest.approx(length)
    np.testing.assert_array_equal(plane.point(plane.anchors[1].x, 0), end)
    assert [unit.name for unit in plane.units] == ["distance", "filter norms"]
    # One unit on y moves every row by about its own norm, up to the cosine with the line.
    moved = np.linalg.norm(
        (plane.point(0, plane.units[1].length) - start)[layout.slices["w"]].reshape(40, 30), axis=1
    )
    norms = np.linalg.norm(start[layout.slices["w"]].reshape(40, 30), axis=1)
    assert plane.cosine is not None
    assert np.abs(moved / norms - 1).max() < 4 * abs(plane.cosine)
    np.testing.assert_allclose(plane.ranges(), [[-0.2 * length, 1.2 * length], [-0.7 * length, 0.7 * length]])
    assert plane.aspect == pytest.approx(1)
    assert plane.seed == 7
    with pytest.raises(UserError, match="'from' and 'to' are equal"):
        geometry.plane_with_random(start, start, layout, seed=7)


def test_a_plane_along_an_update_and_the_way_to_the_online_checkpoint() -> None:
    off, after, on = np.zeros(4), np.array([0, 0.1, 0, 0]), np.array([3.0, 4.0, 0, 0])
    update = geometry.update_direction(off, after)
    plane = geometry.plane_along(off, update.direction, on - off, kind="update", name="off")
    assert (plane.project(after).x, plane.project(after).y) == pytest.approx((update.length, 0))
    assert (plane.project(on).x, plane.project(on).y) == pytest.approx((4, 3))
    assert plane.kind == "update"
    np.testing.assert_allclose(plane.ranges(), [[-1, 1], [-1, 1]])
    seen = plane.ranges(include=np.array([[4.0, 3.0]]))
    np.testing.assert_allclose(seen, [[-0.8, 4.8], [-0.6, 3.6]])


@pytest.mark.parametrize("margin", [-0.1, np.nan, np.inf])
def test_impossible_margins_are_refused(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        geometry.plane_through(*triangle(0)).grid(margin=margin)


# ---- u and v as axes ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(seed=seeds, stretch=st.floats(1e-3, 1e3))
def test_on_axes_the_three_are_at_the_corners_bit_for_bit(seed: int, stretch: float) -> None:
    a, b, c = triangle(seed)
    c = a + stretch * (c - a)
    plane = geometry.plane_on_axes(a, b, c)
    for (x, y), vector in (((0, 0), a), ((1, 0), b), ((0, 1), c)):
        np.testing.assert_array_equal(plane.point(x, y), vector)
        found = plane.project(vector)
        assert (found.x, found.y) == pytest.approx((x, y), abs=1e-9)
        assert found.residual <= 1e-9 * np.linalg.norm(vector)
    np.testing.assert_allclose(plane.point(0.3, -2.0), a + 0.3 * (b - a) - 2 * (c - a), rtol=1e-9, atol=1e-9)


def test_on_axes_grid_lines_go_exactly_through_the_three() -> None:
    plane = geometry.plane_on_axes(*triangle(0))
    grid = plane.grid(8, 7)
    assert {0.0, 1.0} <= set(grid.xs.tolist())
    assert {0.0, 1.0} <= set(grid.ys.tolist())
    np.testing.assert_allclose([grid.xs[[0, -1]], grid.ys[[0, -1]]], [[-0.2, 1.2], [-0.2, 1.2]])


def test_on_axes_it_is_the_same_plane_sheared() -> None:
    """(x, y) on the axes is (x |u| + y |v| cos, y |v| sin) of the orthonormal plane."""
    a, b, c = triangle(3)
    sheared, through = geometry.plane_on_axes(a, b, c), geometry.plane_through(a, b, c)
    assert sheared.cosine == through.cosine
    (u, v), cos = sheared.to_json()["lengths"], sheared.cosine
    np.testing.assert_allclose([u, v], [np.linalg.norm(b - a), np.linalg.norm(c - a)])
    x, y = 0.7, 0.4
    np.testing.assert_allclose(
        sheared.point(x, y), through.point(x * u + y * v * cos, y * v * np.sqrt(1 - cos**2)), atol=1e-12
    )
    other = a + 0.7 * (b - a) + 0.4 * (c - a)
    normal = np.random.default_rng(9).normal(size=len(a))
    normal -= through.basis.T @ (through.basis @ normal)
    mine, theirs = sheared.project(other + normal), through.project(other + normal)
    assert (mine.x, mine.y) == pytest.approx((0.7, 0.4))
    assert (mine.residual, mine.share) == pytest.approx((theirs.residual, theirs.share))
    assert sheared.to_json()["axes"] == "uv"


def test_on_axes_checkpoints_on_a_line_are_refused() -> None:
    a = np.arange(1.0, 6.0)
    with pytest.raises(UserError, match="span no plane"):
        geometry.plane_on_axes(a, 2 * a, 4 * a)
    with pytest.raises(UserError, match="are equal"):
        geometry.plane_on_axes(a, 2 * a, a)

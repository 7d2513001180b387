"""Lines in parameter space: exact ends, honest labels, constant memory."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape import geometry
from smac.errors import UserError


def network(seed: int, dtype: type = np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "body.weight": rng.normal(size=(4, 3)).astype(dtype),
        "body.bias": rng.normal(size=4).astype(dtype),
        "log_std": np.asarray(rng.normal(), dtype=dtype),
        "steps": np.array([7, 9], dtype=np.int64),
    }


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes() for k in a
    )


def test_endpoints_are_evaluated_exactly_and_inputs_stay_unchanged() -> None:
    start, end = network(1), network(2)
    start["body.bias"][0] = -0.0  # a sign that arithmetic would lose
    before = [{k: v.copy() for k, v in p.items()} for p in (start, end)]
    points = list(geometry.line(start, end, geometry.line_alphas(5)))
    assert len(points) == 5
    assert same_bits(points[0], start)
    assert same_bits(points[-1], end)
    for point in points:
        for tensor in point.values():
            tensor[...] = 99  # what a caller does to a point must not reach the checkpoints
    assert same_bits(start, before[0])
    assert same_bits(end, before[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_points_are_mixed_in_float64_and_stored_in_their_dtype(dtype: type) -> None:
    start, end = network(1, dtype), network(2, dtype)
    point = geometry.point_on_line(start, end, 0.3)
    for name in ("body.weight", "body.bias", "log_std"):
        exact = 0.7 * start[name].astype(np.float64) + 0.3 * end[name].astype(np.float64)
        assert point[name].dtype == dtype
        np.testing.assert_array_equal(point[name], exact.astype(dtype))
    np.testing.assert_array_equal(point["steps"], [7, 9])


def test_extrapolation_follows_the_same_line() -> None:
    start, end = {"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, -2.0])}
    np.testing.assert_allclose(geometry.point_on_line(start, end, 1.5)["w"], [4.0, -4.0])
    np.testing.assert_allclose(geometry.point_on_line(start, end, -0.5)["w"], [0.0, 4.0])


@settings(deadline=None)
@given(points=st.integers(2, 300))
def test_plain_grid_is_even_and_holds_both_ends(points: int) -> None:
    alphas = geometry.line_alphas(points)
    assert alphas.shape == (points,)
    assert alphas[0] == 0.0
    assert alphas[-1] == 1.0
    np.testing.assert_allclose(np.diff(alphas), 1 / (points - 1))


@settings(deadline=None)
@given(points=st.integers(4, 300), extrapolate=st.floats(1e-3, 50))
def test_extrapolated_grid_reaches_its_label_and_holds_both_ends(points: int, extrapolate: float) -> None:
    alphas = geometry.line_alphas(points, extrapolate)
    assert alphas.shape == (points,)
    assert alphas[0] == -extrapolate
    assert alphas[-1] == 1 + extrapolate
    assert 0.0 in alphas
    assert 1.0 in alphas
    assert (np.diff(alphas) > 0).all()


def test_extrapolated_grid_shares_points_by_length() -> None:
    np.testing.assert_allclose(geometry.line_alphas(9, 0.5), np.arange(-0.5, 1.51, 0.25))
    np.testing.assert_allclose(geometry.line_alphas(4, 0.1), [-0.1, 0, 1, 1.1])


@pytest.mark.parametrize(
    ("points", "extrapolate"), [(1, 0), (0, 0), (3, 0.5), (5, -0.1), (5, np.nan), (5, np.inf)]
)
def test_impossible_grids_are_refused(points: int, extrapolate: float) -> None:
    with pytest.raises(UserError):
        geometry.line_alphas(points, extrapolate)


def test_measured_displacement_equals_the_label() -> None:
    start, end = network(1, np.float64), network(2, np.float64)
    whole = geometry.distance(start, end)
    names = ("body.bias", "body.weight", "log_std")
    flat = [np.concatenate([params[name].ravel() for name in names]) for params in (start, end)]
    assert whole == pytest.approx(np.linalg.norm(flat[1] - flat[0]))
    alphas = geometry.line_alphas(9, 0.5)
    for alpha, point in zip(alphas, geometry.line(start, end, alphas), strict=True):
        assert geometry.distance(start, point) == pytest.approx(abs(alpha) * whole)


def test_distances_by_hand() -> None:
    a = {"w": np.array([3.0, 4.0]), "b": np.zeros(2), "c": np.zeros(1), "n": np.array(5)}
    b = {"w": np.array([3.0, 4.0]) * 1.5, "b": np.array([6.0, 0.0]), "c": np.zeros(1), "n": np.array(5)}
    assert geometry.displacements(a, b) == pytest.approx({"b": 6.0, "c": 0.0, "w": 2.5})
    assert geometry.distance(a, b) == 6.5


def test_flatten_round_trip_ignores_the_order_of_names() -> None:
    params = network(3)
    shuffled = dict(reversed(params.items()))
    layout = geometry.layout_of(params)
    assert layout == geometry.layout_of(shuffled)
    assert layout.names == ("body.bias", "body.weight", "log_std")
    assert layout.dimension == 4 + 12 + 1
    vector = geometry.flatten(shuffled, layout)
    assert vector.dtype == np.float64
    np.testing.assert_array_equal(vector[:4], params["body.bias"])
    back = geometry.unflatten(vector, layout)
    assert same_bits(dict(sorted(back.items())), dict(sorted(params.items())))
    back["steps"][0] = 0
    assert geometry.unflatten(vector, layout)["steps"][0] == 7


def test_flatten_and_unflatten_refuse_another_layout() -> None:
    layout = geometry.layout_of(network(1))
    with pytest.raises(UserError, match=r"body\.bias"):
        geometry.flatten({**network(1), "body.bias": np.zeros(5, np.float32)}, layout)
    with pytest.raises(UserError, match="extra"):
        geometry.flatten({**network(1), "extra": np.zeros(5)}, layout)
    with pytest.raises(UserError, match="dimension 17"):
        geometry.unflatten(np.zeros(16), layout)
    with pytest.raises(UserError, match="floating-point"):
        geometry.layout_of({"n": np.arange(3)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"body.weight": np.zeros((3, 4), np.float32)},
            r"'body.weight' has shape \(4, 3\) in off but \(3, 4\)",
        ),
        ({"body.bias": np.zeros(4, np.float64)}, "'body.bias' is float32 in off but float64 in on"),
        ({"steps": np.array([7, 10])}, "int64 tensor 'steps' differs between off and on"),
        ({"head": np.zeros(1)}, "'head' is in on but not in off"),
    ],
)
def test_mismatch_names_the_tensor(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UserError, match=message):
        geometry.check_same_layout(network(1), {**network(2), **change}, "off", "on")
    with pytest.raises(UserError):
        geometry.line(network(1), {**network(2), **change}, [0.5])  # at the call, not at the first point


def test_memory_does_not_grow_with_the_number_of_points() -> None:
    start, end = {"w": np.zeros(50_000)}, {"w": np.ones(50_000)}

    def peak(points: int) -> int:
        tracemalloc.start()
        for point in geometry.line(start, end, geometry.line_alphas(points)):
            assert point["w"].shape == (50_000,)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60) < 1.2 * peak(3)


def test_geometry_and_statistics_need_neither_torch_nor_gymnasium() -> None:
    imports = "import sys, landscape.geometry, landscape.statistics"
    code = f"{imports}; print({{'torch', 'gymnasium'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

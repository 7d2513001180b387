"""Curves against their formulas (docs/landscape.md §6), finite differences and quadrature."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from landscape import geometry
from smac.errors import UserError

KINDS = ["polygonal", "bezier"]
seeds = st.integers(0, 2**32)
kinds = st.sampled_from(KINDS)


def bent(kind: str, seed: int, dimension: int = 5) -> geometry.Curve:
    a, w, b = np.random.default_rng(seed).normal(size=(3, dimension))
    return geometry.straight_chain(kind, a, b).with_bends(w[None])


@settings(deadline=None, max_examples=50)
@given(seed=seeds, t=st.floats(0, 1))
def test_the_formulas_of_the_definition(seed: int, t: float) -> None:
    a, w, b = bent("bezier", seed).control
    bezier = (1 - t) ** 2 * a + 2 * t * (1 - t) * w + t**2 * b
    chain = 2 * (t * w + (0.5 - t) * a) if t <= 0.5 else 2 * ((t - 0.5) * b + (1 - t) * w)
    np.testing.assert_allclose(bent("bezier", seed).point(t), bezier, atol=1e-12)
    np.testing.assert_allclose(bent("polygonal", seed).point(t), chain, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(kind=kinds, seed=seeds, t=st.floats(0.001, 0.999).filter(lambda t: abs(t - 0.5) > 1e-3))
def test_the_derivative_is_a_finite_difference(kind: str, seed: int, t: float) -> None:
    curve, h = bent(kind, seed), 1e-5
    difference = (curve.point(t + h) - curve.point(t - h)) / (2 * h)
    np.testing.assert_allclose(curve.derivative(t), difference, atol=1e-8)


def test_at_a_knot_of_a_chain_the_derivative_is_that_of_the_next_leg() -> None:
    curve = geometry.polyline({"a": np.array([0.0]), "b": np.array([1.0]), "c": np.array([5.0])})
    assert [curve.derivative(t)[0] for t in (0, 0.25, 0.5, 1)] == [2, 2, 8, 8]


@settings(deadline=None, max_examples=50)
@given(kind=kinds, seed=seeds, t=st.floats(0, 1), h=st.floats(0.1, 1))
def test_the_coefficient_of_a_bend_is_how_a_point_follows_it(
    kind: str, seed: int, t: float, h: float
) -> None:
    curve = bent(kind, seed)
    followed = curve.with_bends(curve.bends + h).point(t) - curve.point(t)
    np.testing.assert_allclose(followed / h, curve.coefficients(np.array([t]))[0, 1], atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(kind=kinds, seed=seeds, bends=st.integers(0, 4), n=st.integers(1, 20))
def test_coefficients_sum_to_one_and_rates_to_zero(kind: str, seed: int, bends: int, n: int) -> None:
    ends = np.random.default_rng(seed).normal(size=(2, 3))
    curve = geometry.straight_chain(kind, *ends, bends if kind == "polygonal" else 1)
    ts = np.linspace(0, 1, n)
    np.testing.assert_allclose(curve.coefficients(ts).sum(axis=1), 1)
    np.testing.assert_allclose(curve.rates(ts).sum(axis=1), 0, atol=1e-12)
    straight = (1 - ts[:, None]) * ends[0] + ts[:, None] * ends[1]
    np.testing.assert_allclose(list(curve.points(ts)), straight, atol=1e-12)
    assert curve.length_ratio == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(kind=kinds, seed=seeds, t=st.floats(0, 1))
def test_arc_length_is_the_integral_of_speed(kind: str, seed: int, t: float) -> None:
    curve = bent(kind, seed)
    speed, _ = quad(lambda s: np.linalg.norm(curve.derivative(s)), 0, t, points=[min(0.5, t)], limit=200)
    assert curve.arc(np.array([t]))[0] == pytest.approx(speed, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("bulge", [0, 1e-9, 1e-5, 9e-4, 1.1e-3, 1e-2, 1, 1e3, 1e9])
def test_the_length_of_a_parabola_is_exact_at_every_curvature(bulge: float) -> None:
    curve = geometry.straight_chain("bezier", np.array([-1.0, 0]), np.array([1.0, 0]))
    curve = curve.with_bends(np.array([[0, bulge]]))
    # y = bulge (1 - x^2) / 2 on [-1, 1]: sqrt(1 + k^2) + asinh(k) / k with k = bulge
    exact = np.sqrt(1 + bulge**2) + (np.arcsinh(bulge) / bulge if bulge else 1)
    assert curve.length == pytest.approx(exact, rel=1e-12)
    assert curve.arc(np.array([0.5]))[0] == pytest.approx(exact / 2, rel=1e-12)


@pytest.mark.parametrize("shift", [0, 1e-12, 1e-9, 1e-6, 1e-4, 2e-4, 3e-4, 1e-2, 0.25, 0.5])
def test_a_bend_that_slides_along_the_line_does_not_change_its_length(shift: float) -> None:
    e = geometry.random_orthogonal_directions(1, 50, seed=0)[0]
    curve = geometry.straight_chain("bezier", -e, e).with_bends(shift * e[None])
    assert curve.length == pytest.approx(2, rel=1e-11)
    assert curve.arc(np.array([0.25]))[0] == pytest.approx(0.5 + 0.375 * shift, rel=1e-10)


def test_a_bezier_curve_passes_through_its_ends_only() -> None:
    curve = bent("bezier", 0)
    np.testing.assert_array_equal(curve.knots, [0, 1])
    ts = curve.through_knots(7)
    assert (ts[0], ts[-1]) == (0, 1)
    np.testing.assert_allclose(ts[1:-1], curve.equal_steps(7)[1:-1], atol=1e-12)


def test_a_bend_beyond_the_end_turns_back_and_counts_both_ways() -> None:
    curve = geometry.straight_chain("bezier", np.array([0.0]), np.array([0.0])).with_bends(np.array([[1.0]]))
    assert curve.length == pytest.approx(1)  # up to 1/2 at t = 1/2 and back
    assert curve.length_ratio == np.inf
    assert json.loads(json.dumps(curve.to_json()))["length_ratio"] is None
    chain = geometry.straight_chain("polygonal", np.zeros(2), np.array([1.0, 0])).with_bends(
        np.array([[2.0, 0]])
    )
    assert (chain.length, chain.length_ratio) == (3, 3)


@settings(deadline=None, max_examples=50)
@given(kind=kinds, seed=seeds, points=st.integers(2, 30))
def test_equal_steps_have_equal_arcs(kind: str, seed: int, points: int) -> None:
    curve = bent(kind, seed)
    ts = curve.equal_steps(points)
    assert (ts[0], ts[-1]) == (0, 1)
    np.testing.assert_allclose(curve.arc(ts), np.linspace(0, curve.length, points), rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(seed=seeds, legs=st.integers(1, 6), extra=st.integers(0, 20))
def test_a_polyline_visits_its_checkpoints_bit_for_bit(seed: int, legs: int, extra: int) -> None:
    rng = np.random.default_rng(seed)
    checkpoints = {f"step {i}": rng.normal(size=4) * 10.0 ** rng.integers(-3, 3) for i in range(legs + 1)}
    curve = geometry.polyline(checkpoints)
    ts = curve.through_knots(legs + 1 + extra)
    assert len(ts) == legs + 1 + extra
    assert (np.diff(ts) > 0).all()
    visited = {point.tobytes() for point in curve.points(ts)}
    assert {vector.tobytes() for vector in checkpoints.values()} <= visited
    total = sum(np.linalg.norm(b - a) for a, b in pairwise(checkpoints.values()))
    assert curve.length == pytest.approx(total)
    assert curve.names == tuple(checkpoints)
    np.testing.assert_allclose(curve.arc(curve.knots)[-1], total)


def test_a_curve_counts_what_a_search_may_change_and_keeps_its_ends() -> None:
    a, b = np.array([-0.0, 1.0, 2.0]), np.array([3.0, -0.0, 1.0])
    curve = geometry.straight_chain("polygonal", a, b, bends=4)
    assert curve.parameters == 12
    np.testing.assert_allclose(curve.bends, [a + s * (b - a) for s in (0.2, 0.4, 0.6, 0.8)])
    changed = curve.with_bends(np.full((4, 3), 9.0))
    assert changed.point(0).tobytes() == a.tobytes()
    assert changed.point(1).tobytes() == b.tobytes()
    assert changed.to_json() == {
        "kind": "polygonal",
        "bends": 4,
        "parameters": 12,
        "length": changed.length,
        "length_ratio": changed.length / np.linalg.norm(b - a),
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: geometry.straight_chain("spline", a, a + 1), "polygonal or bezier"),
        (lambda a: geometry.straight_chain("bezier", a, a + 1, bends=2), "one bend, got 2"),
        (lambda a: geometry.straight_chain("bezier", a, a + 1).with_bends(a), r"shape \(3,\)"),
        (lambda a: geometry.straight_chain("bezier", a, a + 1).point(1.1), "from 0 to 1"),
        (lambda a: geometry.straight_chain("bezier", a, a + 1).equal_steps(1), "at least 2"),
        (
            lambda a: geometry.straight_chain("bezier", a, a + 1).at_lengths(np.array([2.0])),
            "0 and its length",
        ),
        (lambda a: geometry.straight_chain("bezier", a, np.ones(4)), "dimension 4"),
        (lambda a: geometry.polyline({"x": a, "y": a}), "'x' and 'y' are equal"),
        (lambda a: geometry.polyline({"x": a}), "two checkpoints"),
    ],
)
def test_impossible_curves_are_refused(call, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(np.zeros(3))

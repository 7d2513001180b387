"""Directions: filter normalisation by hand, orthogonality as a property, groups of tensors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape import geometry
from smac.errors import UserError


def flat(params: dict[str, np.ndarray]) -> tuple[np.ndarray, geometry.Layout]:
    layout = geometry.layout_of(params)
    return geometry.flatten(params, layout), layout


def test_filter_normalisation_by_hand() -> None:
    theta, layout = flat({"l.weight": np.array([[3.0, 4.0], [0.0, 2.0]]), "l.bias": np.array([6.0, 8.0])})
    direction, _ = flat({"l.weight": np.array([[0.0, 1.0], [3.0, 4.0]]), "l.bias": np.array([0.0, 2.0])})
    for one_d, bias in (("zero", [0, 0]), ("match", [0, 10]), ("keep", [0, 2])):
        normalised = geometry.unflatten(geometry.filter_normalise(direction, theta, layout, one_d), layout)
        np.testing.assert_allclose(normalised["l.weight"], [[0, 5], [1.2, 1.6]])
        np.testing.assert_allclose(normalised["l.bias"], bias)


def test_a_filter_is_a_row_of_each_member_and_all_of_a_kernel() -> None:
    shapes = {
        "critic.l.weight": (2, 4, 3),  # [members, out, in]
        "critic.l.bias": (2, 4),
        "critic.n.weight": (2, 4),
        "critic.n.bias": (2, 4),
        "conv.weight": (6, 3, 5, 5),
        "conv.bias": (6,),
        "kernel": (6, 3, 5, 5),
        "stacked": (2, 4, 3),
        "row": (4, 3),
        "log_std": (4,),
        "log_alpha": (),
    }
    rng = np.random.default_rng(0)
    theta, layout = flat({name: rng.normal(size=shape) for name, shape in shapes.items()})
    axes = {name: geometry.input_axes(name, layout) for name in shapes}
    assert axes == {
        "critic.l.weight": (2,),
        "critic.l.bias": (),
        "critic.n.weight": (),
        "critic.n.bias": (),
        "conv.weight": (1, 2, 3),
        "conv.bias": (),
        "kernel": (1, 2, 3),
        "stacked": (2,),
        "row": (1,),
        "log_std": (),
        "log_alpha": (),
    }
    direction = rng.normal(size=layout.dimension)
    matched = geometry.unflatten(geometry.filter_normalise(direction, theta, layout, "match"), layout)
    reference = geometry.unflatten(theta, layout)
    for name, over in axes.items():
        over = over or tuple(range(len(shapes[name]))[-1:])  # biases and norms: each member's own
        np.testing.assert_allclose(
            np.sqrt(np.sum(matched[name] ** 2, axis=over)), np.sqrt(np.sum(reference[name] ** 2, axis=over))
        )
    assert geometry.unflatten(geometry.filter_normalise(direction, theta, layout), layout)["log_alpha"] == 0


def test_a_filter_without_direction_or_without_norm_becomes_zero() -> None:
    theta, layout = flat({"w": np.array([[1.0, 1.0], [0.0, 0.0]])})
    for direction in ([0.0, 0.0, 5.0, 1.0], [0.0, 0.0, 0.0, 0.0]):
        np.testing.assert_array_equal(geometry.filter_normalise(np.array(direction), theta, layout), 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, lay: geometry.filter_normalise(t, t, lay, "none"), "one_d must be"),
        (lambda t, lay: geometry.filter_normalise(t, t[:-1], lay), "dimension 3 but the direction has 4"),
        (lambda t, lay: geometry.unit(np.zeros(3)), "zero"),
        (lambda t, lay: geometry.unit(np.array([1.0, np.nan, np.inf])), "2 numbers that are not finite"),
        (lambda t, lay: geometry.unit(np.zeros((2, 2))), r"shape \(2, 2\)"),
        (lambda t, lay: geometry.random_orthogonal_directions(4, 3, 0), "no 4 orthogonal directions in 3"),
        (lambda t, lay: geometry.update_direction(t, t), "equal"),
    ],
)
def test_directions_that_do_not_exist_are_refused(call, message: str) -> None:
    theta, layout = flat({"w": np.ones((2, 2))})
    with pytest.raises(UserError, match=message):
        call(theta, layout)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6), extra=st.integers(0, 30))
def test_random_orthogonal_directions_are_orthonormal(seed: int, count: int, extra: int) -> None:
    directions = geometry.random_orthogonal_directions(count, count + extra, seed)
    np.testing.assert_allclose(directions @ directions.T, np.eye(count), atol=1e-12)


def test_random_orthogonal_directions_prefer_no_orthant() -> None:
    draws = np.array([geometry.random_orthogonal_directions(2, 3, seed) for seed in range(2000)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=4 * np.sqrt(1 / 3 / 2000))
    np.testing.assert_allclose((draws**2).mean(axis=0), 1 / 3, atol=0.03)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), angle=st.floats(1e-5, np.pi - 1e-5), scale=st.floats(1e-6, 1e6))
def test_gram_schmidt_finds_the_angle(seed: int, angle: float, scale: float) -> None:
    e = geometry.random_orthogonal_directions(2, 12, seed)
    basis, x, y = geometry.orthonormalise(3 * e[0], scale * (np.cos(angle) * e[0] + np.sin(angle) * e[1]))
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    assert x == pytest.approx(scale * np.cos(angle), abs=1e-12 * scale)
    assert y == pytest.approx(scale * np.sin(angle), rel=1e-9)
    np.testing.assert_allclose(basis[1], e[1], atol=1e-9)


def test_the_threshold_of_collinearity_is_one_in_a_million() -> None:
    u = np.array([1.0, 0.0])
    geometry.orthonormalise(u, np.array([1.0, 1.1e-6]))
    with pytest.raises(UserError, match=r"5\.16e-05 degrees"):
        geometry.orthonormalise(u, np.array([1.0, 0.9e-6]))


def test_an_update_is_a_length_and_a_direction() -> None:
    update = geometry.update_direction(np.array([1.0, 1.0]), np.array([4.0, -3.0]))
    assert update.length == 5
    np.testing.assert_allclose(update.direction, [0.6, -0.8])


def test_a_ray_starts_at_its_origin_bit_for_bit() -> None:
    origin = np.array([-0.0, 0.1])
    back, here, ahead = geometry.ray(origin, np.array([0.0, 7.0]), [-2.0, 0.0, 3.0])
    assert here.tobytes() == origin.tobytes()
    np.testing.assert_allclose([back, ahead], [[0, -1.9], [0, 3.1]])


# ---- groups ------------------------------------------------------------------------------------------------


def checkpoint(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = {
        "actor.net.hidden.0.weight": (4, 3),
        "actor.net.hidden.0.bias": (4,),
        "actor.net.hidden.10.weight": (4, 4),
        "actor.net.head.weight": (2, 4),
        "critic.net.head.weight": (2, 1, 4),
        "log_alpha": (),
    }
    tensors = {name: np.asarray(rng.normal(size=shape), np.float32) for name, shape in names.items()}
    return tensors | {"updates": np.array(seed)}


def moved(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> set[str]:
    return {name for name in a if not np.array_equal(a[name], b[name])}


def test_the_actor_moves_by_default_and_the_rest_is_held_at_the_chosen_end() -> None:
    off, on = checkpoint(1), checkpoint(2)
    actor = {name for name in off if name.startswith("actor.")}
    for at, kept in ((0, off), (1, on), (-1, on)):
        a, b = geometry.hold([off, on], at=at)
        assert moved(a, b) == actor
        for name in off.keys() - actor:
            np.testing.assert_array_equal(a[name], kept[name])
        assert moved(a, off) == (set() if kept is off else off.keys() - actor)
        for point in geometry.line(a, b, [0.1, 0.7, 1.3]):  # held tensors keep their bits on the way
            assert moved(point, a) == actor
    a["log_alpha"][...] = 99
    assert on["log_alpha"] != 99  # where it was held at


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["critic.*"], {"critic.net.head.weight"}),
        (["actor.net.hidden.0.*"], {"actor.net.hidden.0.weight", "actor.net.hidden.0.bias"}),
        (["*.head.weight"], {"actor.net.head.weight", "critic.net.head.weight"}),
        (["log_alpha", "*.bias"], {"log_alpha", "actor.net.hidden.0.bias"}),
    ],
)
def test_groups_and_single_layers_by_pattern(patterns: list[str], expected: set[str]) -> None:
    off, on = checkpoint(1), checkpoint(2)
    assert moved(*geometry.hold([off, on], patterns)) == expected
    a, b, c = geometry.hold([off, on, checkpoint(3)], patterns, at=1)
    layout = geometry.layout_of(a)
    plane = (
        geometry.plane_through(*(geometry.flatten(x, layout) for x in (a, b, c)))
        if len(expected) > 1
        else None
    )
    if plane:
        for point in plane.points([(0.3, -0.4), (1.5, 2.5)]):
            assert moved(geometry.unflatten(point, layout), on) == expected


def test_tensors_that_only_one_algorithm_has_do_not_matter_outside_the_group() -> None:
    off, on = checkpoint(1), checkpoint(2)
    off["tau_head.weight"] = np.ones(3, np.float32)
    a, b = geometry.hold([off, on])
    assert a.keys() == b.keys() == off.keys()
    a, b = geometry.hold([off, on], at=1)
    assert a.keys() == b.keys() == on.keys()
    geometry.check_same_layout(a, b)


def test_a_group_that_does_not_exist_is_refused_with_what_does() -> None:
    off, on = checkpoint(1), checkpoint(2)
    with pytest.raises(
        UserError, match=r"no tensor matches 'actor\.net\.hidden\.7\.\*'; there are actor\.net"
    ):
        geometry.hold([off, on], ["actor.net.hidden.7.*"])
    with pytest.raises(UserError, match="no group"):
        geometry.hold([off, on], [])
    del on["actor.net.hidden.0.bias"]
    with pytest.raises(UserError, match=r"'actor\.net\.hidden\.0\.bias' is not in all"):
        geometry.hold([off, on])


def test_layers_are_named_and_cover_what_they_name() -> None:
    names = checkpoint(1).keys()
    assert geometry.layers(names) == (
        "actor.net.head",
        "actor.net.hidden.0",
        "actor.net.hidden.10",
        "critic.net.head",
    )
    assert geometry.matching(names, [f"{geometry.layers(names)[2]}.*"]) == ("actor.net.hidden.10.weight",)


def test_a_random_direction_stays_in_its_group() -> None:
    theta, layout = flat({k: v for k, v in checkpoint(1).items() if k != "updates"})
    group = ["actor.net.hidden.0.*"]
    drawn = (geometry.restrict(geometry.random_direction(len(theta), s), layout, group) for s in (0, 1))
    point = geometry.unflatten(geometry.plane_along(theta, *drawn).point(0.5, -1.5), layout)
    assert moved(point, geometry.unflatten(theta, layout)) <= {
        "actor.net.hidden.0.weight",
        "actor.net.hidden.0.bias",
    }
    end = theta + geometry.restrict(np.ones(len(theta)), layout, group)
    plane = geometry.plane_with_random(theta, end, layout, seed=0, moving=group)
    assert np.flatnonzero(plane.basis.any(axis=0)).size == 16


def test_batch_statistics_are_never_averaged() -> None:
    a, b = ({"bn.weight": np.full(2, x), "bn.running_var": np.full(2, x)} for x in (1.0, 2.0))
    with pytest.raises(UserError, match=r"batch statistics 'bn\.running_var' differ"):
        geometry.line(a, b, [0.5])
    (point,) = geometry.line(*geometry.hold([a, b], ["bn.weight"]), [0.5])
    np.testing.assert_array_equal(point["bn.running_var"], 1)
    np.testing.assert_array_equal(point["bn.weight"], 1.5)

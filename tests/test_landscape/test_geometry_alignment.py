"""Alignment: copies are recovered, functions are kept, related networks stay as they are."""

import json
from itertools import pairwise, permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from landscape import geometry
from landscape.geometry.unit_matching import (
    Net,
    Units,
    balance,
    best_scales,
    descend,
    match_forward,
)
from smac.errors import UserError
from smac.nets import DeterministicActor

ACTIVATIONS = ["silu", "tanh", "relu"]
cases = st.tuples(st.integers(0, 10_000), st.sampled_from(ACTIVATIONS), st.booleans())


def perceptron(
    seed: int, layer_norm: bool, widths: tuple[int, ...] = (3, 12, 10, 2)
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    params = {}
    for i, (a, b) in enumerate(pairwise(widths)):
        last = i == len(widths) - 2
        name = "net.head" if last else f"net.hidden.{i}"
        params |= {f"{name}.weight": rng.normal(size=(b, a)) / np.sqrt(a), f"{name}.bias": rng.normal(size=b)}
        if layer_norm and not last:
            params |= {
                f"net.norms.{i}.weight": rng.normal(1, 0.3, b),
                f"net.norms.{i}.bias": rng.normal(size=b),
            }
    return params


Change = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


def symmetry(seed: int, activation: str, widths: tuple[int, ...] = (12, 10)) -> Change:
    """Random orders of units, with the factors that the activation allows."""
    rng = np.random.default_rng(seed)
    factors = {
        "silu": lambda n: np.ones(n),
        "tanh": lambda n: rng.choice([-1.0, 1.0], n),
        "relu": lambda n: np.exp(rng.normal(size=n)),
    }[activation]
    return tuple(rng.permutation(n) for n in widths), tuple(factors(n) for n in widths)


@settings(deadline=None, max_examples=40)
@given(cases)
def test_a_change_of_units_keeps_the_function(case: tuple[int, str, bool]) -> None:
    seed, activation, layer_norm = case
    params = perceptron(seed, layer_norm)
    changed = geometry.transform_units(params, *symmetry(seed, activation))
    states = np.random.default_rng(seed).normal(size=(50, 3))
    outputs = [geometry.forward(p, states, activation) for p in (params, changed)]
    np.testing.assert_allclose(*outputs, atol=1e-11)
    assert geometry.distance(params, changed) > 1


@settings(deadline=None, max_examples=40)
@given(cases)
def test_a_permuted_signed_and_scaled_copy_is_recovered(case: tuple[int, str, bool]) -> None:
    seed, activation, layer_norm = case
    params = perceptron(seed, layer_norm)
    orders, factors = symmetry(seed + 1, activation)
    copy = geometry.transform_units(params, orders, factors)
    stored = {name: tensor.copy() for name, tensor in copy.items()}
    found = geometry.align(params, copy, activation)
    assert found.distance_before == pytest.approx(geometry.distance(params, copy))
    assert found.distance_after < 1e-11
    assert found.function_change < 1e-11
    assert found.converged
    for k, order in enumerate(found.permutations):
        np.testing.assert_array_equal(orders[k][order], np.arange(len(order)))
        np.testing.assert_allclose(found.signs[k] * found.scales[k] * factors[k][order], 1, atol=1e-10)
    for name, tensor in stored.items():
        np.testing.assert_array_equal(copy[name], tensor)
    if activation != "relu":  # orders and signs are exact in floating point, scales are rounded
        for name, tensor in params.items():
            np.testing.assert_array_equal(found.params[name], tensor)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_copy_with_noise_is_recovered_up_to_the_noise(activation: str) -> None:
    params = perceptron(0, False, (17, 64, 64, 6))
    orders, factors = symmetry(1, activation, (64, 64))
    rng = np.random.default_rng(2)
    noisy = {name: tensor + 0.01 * rng.normal(size=tensor.shape) for name, tensor in params.items()}
    noise = geometry.distance(params, noisy)
    found = geometry.align(params, geometry.transform_units(noisy, orders, factors), activation)
    assert found.distance_before > 10 * noise
    assert found.distance_after <= noise * (1 + 1e-9)
    for k, order in enumerate(found.permutations):
        np.testing.assert_array_equal(orders[k][order], np.arange(len(order)))


@settings(deadline=None, max_examples=40)
@given(cases)
def test_alignment_never_takes_networks_apart_and_never_changes_the_function(case) -> None:
    seed, activation, layer_norm = case
    a, b = perceptron(seed, layer_norm), perceptron(seed + 1, layer_norm)
    found = geometry.align(a, b, activation)
    assert found.distance_after <= found.distance_before
    assert found.distance_after == pytest.approx(geometry.distance(a, found.params))
    states = 5 * np.random.default_rng(seed).normal(size=(50, 3))
    outputs = [geometry.forward(p, states, activation) for p in (b, found.params)]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    factors = tuple(s * c for s, c in zip(found.signs, found.scales, strict=True))
    again = geometry.transform_units(b, found.permutations, factors)
    for name, tensor in again.items():
        np.testing.assert_array_equal(found.params[name], tensor)
    if activation == "silu":
        assert all((s == 1).all() for s in (*found.signs, *found.scales))
    if activation == "tanh":
        assert all((c == 1).all() for c in found.scales)
    if activation == "relu":
        assert all((s == 1).all() for s in found.signs)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["silu", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_one_hidden_layer_is_matched_optimally(seed: int, activation: str, layer_norm: bool) -> None:
    a, b = (perceptron(2 * seed + k, layer_norm, (2, 4, 2)) for k in (0, 1))
    signs = list(product([-1.0, 1.0], repeat=4)) if activation == "tanh" else [(1.0,) * 4]
    best = min(
        geometry.distance(a, geometry.transform_units(b, (np.array(p),), (np.array(s),)))
        for p in permutations(range(4))
        for s in signs
    )
    assert geometry.align(a, b, activation).distance_after == pytest.approx(best)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_checkpoints_of_one_run_are_aligned_by_the_identity(activation: str, dtype: type) -> None:
    offline = {n: t.astype(dtype) for n, t in perceptron(0, False, (17, 64, 64, 6)).items()}
    rng = np.random.default_rng(1)
    online = {n: (t + 0.3 * np.std(t) * rng.normal(size=t.shape)).astype(dtype) for n, t in offline.items()}
    found = geometry.align(offline, online, activation, rescale=False)
    assert found.identity
    assert found.moved_units == 0
    assert found.distance_after == found.distance_before
    for name, tensor in online.items():
        assert found.params[name].tobytes() == tensor.tobytes()
    if activation == "relu":  # the nearest scales are near 1, but not at it
        rescaled = geometry.align(offline, online, activation)
        assert rescaled.identity
        assert 0.7 < rescaled.distance_after / rescaled.distance_before < 1
        assert 0.5 < rescaled.to_json()["scales"][0] < 1 < rescaled.to_json()["scales"][1] < 2
    same = geometry.align(offline, offline, activation)
    assert same.distance_after == same.distance_before == 0
    assert same.identity
    assert (np.concatenate(same.scales) == 1).all()


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_function_is_kept_in_the_actor_that_plays(layer_norm: bool) -> None:
    actor = DeterministicActor((1,), 3, 2, (12, 10), activation="relu", layer_norm=layer_norm)
    a, b = ({n: t.astype(np.float32) for n, t in perceptron(seed, layer_norm).items()} for seed in (0, 1))
    states = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)

    def play(params: geometry.Params, observations: np.ndarray) -> np.ndarray:
        actor.load_state_dict({name: torch.from_numpy(tensor)[None] for name, tensor in params.items()})
        with torch.no_grad():
            return actor(torch.from_numpy(observations)[None])[0].numpy()

    found = geometry.align(a, b, "relu", observations=states, compute=play)
    assert found.distance_after < 0.9 * found.distance_before
    assert 0 < found.function_change < 1e-5
    assert found.function_change == np.abs(play(b, states) - play(found.params, states)).max()


def test_another_activation_than_the_one_named_is_caught_by_the_policy() -> None:
    a, b = perceptron(0, False), perceptron(1, False)

    def silu(params: geometry.Params, states: np.ndarray) -> np.ndarray:
        return geometry.forward(params, states, "silu")

    for wrong in ("tanh", "relu"):
        with pytest.raises(UserError, match=f"another function.*is {wrong} the activation"):
            geometry.align(a, b, wrong, compute=silu)
    assert geometry.align(a, b, "silu", compute=silu).function_change < 1e-12


@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_the_nearest_of_both_starts_counts(activation: str) -> None:
    signs, gained = activation == "tanh", 0
    for seed in range(6):
        a, b = (perceptron(2 * seed + k, False, (3, 32, 32, 2)) for k in (0, 1))
        x, y = Net.of(a, "net."), Net.of(b, "net.")
        starts = [Units.unchanged(y), match_forward(x, y, signs=signs)]
        reached = [np.sqrt(descend(x, y, s, signs=signs, scales=False).squared_distance) for s in starts]
        fixed = np.linalg.norm(a["net.head.bias"] - b["net.head.bias"])  # no unit moves it
        nearest = np.hypot(min(reached), fixed)
        assert geometry.align(a, b, activation).distance_after == pytest.approx(nearest)
        gained += reached[1] < reached[0] - 1e-6
    assert gained  # or the second start would be idle


def test_changes_of_units_compose() -> None:
    net = Net.of(perceptron(0, True), "net.")
    units, current = Units.unchanged(net), net.copy()
    for seed in range(3):
        for layer, (order, factors) in enumerate(zip(*symmetry(seed, "relu"), strict=True)):
            current.transform(layer, order, factors)
            units.then(layer, order, factors)
    assert np.sqrt(current.squared_distance(units.applied_to(net))) < 1e-12


def test_units_that_are_all_alike_keep_their_places() -> None:
    offline = perceptron(0, False)
    for name in ("net.hidden.0.weight", "net.hidden.0.bias"):
        offline[name][3:9] = 0.25
    offline["net.hidden.1.weight"][:, 3:9] = 0.5
    online = {name: tensor + 0.01 for name, tensor in offline.items()}
    for activation in ACTIVATIONS:
        assert geometry.align(offline, online, activation).identity
        assert geometry.align(offline, offline, activation).identity


def test_dead_units_are_no_obstacle() -> None:
    params = perceptron(0, False)
    for name in ("net.hidden.0.weight", "net.hidden.0.bias"):
        params[name][2] = 0  # nothing in
    params["net.head.weight"][:, 4] = 0  # nothing out
    orders, factors = symmetry(1, "relu")
    found = geometry.align(params, geometry.transform_units(params, orders, factors), "relu")
    assert np.isfinite(found.distance_after)
    assert found.function_change < 1e-12
    alive = geometry.distance(params, found.params)
    assert alive < 0.5 * found.distance_before


@pytest.mark.parametrize("seed", range(5))
def test_the_best_scale_of_a_unit_is_the_minimum_of_its_distance(seed: int) -> None:
    a, b = (Net.of(perceptron(2 * seed + k, False, (3, 4, 2)), "net.") for k in (0, 1))
    found = best_scales(a, b, 0)
    for k in range(4):
        unit = np.eye(4, dtype=bool)[k]

        def cost(log_c: float, unit: np.ndarray = unit) -> float:
            net = b.copy()
            net.transform(0, np.arange(4), np.where(unit, np.exp(log_c), 1.0))
            return a.squared_distance(net)

        starts = np.linspace(-4, 4, 81)
        near = starts[np.argmin([cost(s) for s in starts])]
        lowest = minimize_scalar(cost, bounds=(near - 0.2, near + 0.2), method="bounded").fun
        assert cost(np.log(found[k])) <= lowest + 1e-9


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), layer_norm=st.booleans())
def test_balanced_networks_do_not_depend_on_their_scales(seed: int, layer_norm: bool) -> None:
    params = perceptron(seed, layer_norm)
    order = tuple(np.arange(n) for n in (12, 10))
    scaled = geometry.transform_units(params, order, symmetry(seed, "relu")[1])
    levels = [balance(Net.of(p, "net."))[0] for p in (params, scaled)]
    assert np.sqrt(levels[0].squared_distance(levels[1])) < 1e-10
    for layer in range(2):
        into, out = (np.linalg.norm(x, axis=1) for x in (levels[0].scaled(layer), levels[0].outgoing(layer)))
        np.testing.assert_allclose(into, out, rtol=1e-12)


def test_other_networks_in_the_checkpoint_are_left_alone() -> None:
    a, b = ({f"actor.{n}": t for n, t in perceptron(seed, False).items()} for seed in (0, 1))
    b |= {"critic.net.head.weight": np.ones((2, 1, 4)), "updates": np.array(7)}
    found = geometry.align(a, b, "tanh", prefix="actor.net.")
    assert found.moved_units > 0
    np.testing.assert_array_equal(found.params["critic.net.head.weight"], 1)
    assert found.params["updates"] == 7
    assert found.distance_after < found.distance_before


def test_the_report_is_plain_json() -> None:
    report = json.loads(
        json.dumps(geometry.align(perceptron(0, False), perceptron(1, False), "tanh").to_json())
    )
    assert report["units"] == 22
    assert 0 < report["flipped_units"] <= report["moved_units"] <= 22
    assert report["identity"] is False
    assert report["scales"] == [1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net.head.bias": np.zeros(3)}, r"'net\.head\.bias' has shape \(2,\) in the reference"),
        ({"net.hidden.2.weight": np.zeros((2, 2))}, r"'net\.hidden\.2\.weight' is in the other network"),
    ],
)
def test_networks_of_two_architectures_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UserError, match=message):
        geometry.align(perceptron(0, False), perceptron(1, False) | change, "silu")


def test_what_is_no_permutation_is_refused() -> None:
    with pytest.raises(UserError, match="no permutation of the 10 units of hidden layer 1"):
        geometry.transform_units(
            perceptron(0, False), (np.arange(12), np.zeros(10, int)), (np.ones(12), np.ones(10))
        )
    with pytest.raises(UserError, match="silu, relu, tanh"):
        geometry.align(perceptron(0, False), perceptron(1, False), "gelu")

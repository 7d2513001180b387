"""The perceptron in NumPy against the one in torch, and normalisers folded into it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landscape import geometry
from smac.errors import UserError
from smac.nets import CriticEnsemble, DeterministicActor, StackedMLP, TanhGaussianActor, initialise
from smac.policies.normalisers import Normaliser, fold_normaliser


def tensors(module: nn.Module) -> dict[str, np.ndarray]:
    """Of the only member of a stack, without the stack axis."""
    return {name: tensor[0].numpy().copy() for name, tensor in module.state_dict().items()}


def initialised(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    initialise(module, [generator])
    for name, parameter in module.named_parameters():
        if "norms" in name:
            nn.init.normal_(parameter.data, 0.5, 1.0, generator=generator)
    return module.double().requires_grad_(False)


STATES = np.random.default_rng(0).normal(size=(64, 5)) * 3


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("hidden", [(8,), (16, 7, 9)])
def test_the_forward_pass_is_that_of_our_networks(hidden, activation, layer_norm) -> None:
    module = initialised(StackedMLP((1,), 5, hidden, 3, activation=activation, layer_norm=layer_norm))
    params = {f"net.{name}": tensor for name, tensor in tensors(module).items()}
    expected = module(torch.from_numpy(STATES)[None])[0].numpy()
    np.testing.assert_allclose(geometry.forward(params, STATES, activation), expected, atol=1e-12)


def test_the_forward_pass_is_that_of_actors() -> None:
    actor = initialised(TanhGaussianActor((1,), 5, 2, (8, 8)))
    mean, log_std = np.split(geometry.forward(tensors(actor), STATES, "silu"), 2, axis=1)  # mean rows first
    np.testing.assert_allclose(mean, actor(torch.from_numpy(STATES)[None])[0][0].numpy(), atol=1e-12)
    np.testing.assert_allclose(log_std, actor(torch.from_numpy(STATES)[None])[1][0].numpy(), atol=1e-12)
    silent = initialised(DeterministicActor((1,), 5, 2, (8, 8)))
    actions = geometry.forward(tensors(silent), STATES, "silu", output="tanh")
    np.testing.assert_allclose(actions, silent(torch.from_numpy(STATES)[None])[0].numpy(), atol=1e-12)


def test_the_forward_pass_with_tanh_is_that_of_plain_torch() -> None:
    layers = [nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)]
    module = nn.Sequential(*layers).double().requires_grad_(False)
    names = ["hidden.0", "norms.0", "", "head"]
    params = {
        f"{name}.{part}": getattr(layer, part).numpy()
        for name, layer in zip(names, layers, strict=True)
        if name
        for part in ("weight", "bias")
    }
    found = geometry.forward(params, STATES, "tanh", prefix="")
    np.testing.assert_allclose(found, module(torch.from_numpy(STATES)).numpy(), atol=1e-12)


def test_what_is_no_perceptron_is_refused_by_tensor() -> None:
    params = tensors(initialised(TanhGaussianActor((1,), 5, 2, (8, 8), layer_norm=True)))

    def message(changes: dict[str, np.ndarray | None], activation: str = "silu") -> str:
        changed = {name: tensor for name, tensor in (params | changes).items() if tensor is not None}
        with pytest.raises(UserError) as error:
            geometry.forward(changed, STATES, activation)
        return str(error.value)

    assert "no tensor 'net.head.weight'" in message({"net.head.weight": None})
    assert "'net.hidden.1.bias' is missing" in message({"net.hidden.1.bias": None})
    assert "'net.norms.1.weight' is missing" in message({"net.norms.1.weight": np.ones(7)})
    assert "does not take the 8 units" in message({"net.hidden.1.weight": np.ones((8, 9))})
    assert "out of a stack" in message({"net.head.weight": np.ones((2, 2, 8))})
    assert "silu, relu, tanh" in message({}, "gelu")
    with pytest.raises(UserError, match="identity or tanh"):
        geometry.forward(params, STATES, "silu", output="softmax")


# ---- observation normalisers -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([np.float32, np.float64]))
def test_a_folded_network_takes_raw_observations(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    actor = initialised(TanhGaussianActor((1,), 5, 2, (8, 8), layer_norm=True), seed)
    params = {name: tensor.astype(dtype) for name, tensor in tensors(actor).items()}
    before = {name: tensor.copy() for name, tensor in params.items()}
    normaliser = Normaliser(rng.normal(size=5) * 2, np.exp(rng.normal(size=5)))
    folded = fold_normaliser(params, normaliser)
    raw = STATES * normaliser.std + normaliser.mean
    np.testing.assert_allclose(
        geometry.forward(folded, raw, "silu"),
        geometry.forward(params, STATES, "silu"),
        atol=1e-10 if dtype == np.float64 else 1e-3,
    )
    assert {name: tensor.dtype for name, tensor in folded.items()} == dict.fromkeys(params, dtype)
    for name, tensor in before.items():
        np.testing.assert_array_equal(params[name], tensor)
        if not name.startswith("net.hidden.0"):
            np.testing.assert_array_equal(folded[name], tensor)


def test_folding_by_hand() -> None:
    params = {"net.hidden.0.weight": np.array([[2.0, 6.0]]), "net.hidden.0.bias": np.array([1.0])}
    folded = fold_normaliser(params, Normaliser(np.array([3.0, -1.0]), np.array([2.0, 3.0])))
    np.testing.assert_allclose(folded["net.hidden.0.weight"], [[1, 2]])
    np.testing.assert_allclose(folded["net.hidden.0.bias"], [1 - 3 + 2])


def test_a_stack_of_critics_folds_member_by_member() -> None:
    critic = initialised(CriticEnsemble((1,), 3, 4, 1, (8,)))
    params = tensors(critic)
    mean, std = np.array([1.0, 2, 3, 4, 0]), np.array([1.0, 2, 0.5, 3, 1])  # nothing is done to the action
    folded = fold_normaliser(params, Normaliser(mean, std))
    for member in range(3):
        one, raw = ({name: t[member] for name, t in p.items()} for p in (params, folded))
        np.testing.assert_allclose(
            geometry.forward(raw, STATES * std + mean, "silu"),
            geometry.forward(one, STATES, "silu"),
            atol=1e-12,
        )


def test_what_cannot_be_folded_is_refused() -> None:
    params = tensors(initialised(DeterministicActor((1,), 5, 2, (8,))))
    ones = np.ones(5)
    with pytest.raises(UserError, match=r"clips at 10\.0, which no layer can do"):
        fold_normaliser(params, Normaliser(ones, ones, clip=10.0))
    fold_normaliser(params, Normaliser(ones, ones, clip=np.inf))
    with pytest.raises(UserError, match=r"4 entries but 'net\.hidden\.0\.weight' takes 5"):
        fold_normaliser(params, Normaliser(ones[:4], ones[:4]))
    with pytest.raises(UserError, match=r"no tensor 'body\.0\.weight'"):
        fold_normaliser(params, Normaliser(ones, ones), layer="body.0")
    with pytest.raises(UserError, match=r"mean .* but std"):
        Normaliser(ones, ones[:4])
    for std in ([1, 0.0, 1], [1, -1.0, 1], [1, np.nan, 1]):
        with pytest.raises(UserError, match="index 1"):
            Normaliser(np.zeros(3), np.array(std))

"""A stack of K networks gives, member by member, what K separate networks give."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from smac.nets import (
    CriticEnsemble,
    DeterministicActor,
    StackedMLP,
    TanhGaussianActor,
    initialise,
    tanh_log_det,
)
from smac.streams import Streams

ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU}


def separate(mlp: StackedMLP, member: tuple[int, ...], activation: str) -> nn.Sequential:
    """The member of a stack as a plain torch network with the same numbers in it."""
    layers: list[nn.Module] = []
    for i, hidden in enumerate(mlp.hidden):
        layers.append(plain_linear(hidden, member))
        if mlp.norms:
            norm = nn.LayerNorm(hidden.weight.shape[-2])
            norm.weight.data, norm.bias.data = (
                mlp.norms[i].weight[member].data,
                mlp.norms[i].bias[member].data,
            )
            layers.append(norm)
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers, plain_linear(mlp.head, member))


def plain_linear(stacked: nn.Module, member: tuple[int, ...]) -> nn.Linear:
    linear = nn.Linear(stacked.weight.shape[-1], stacked.weight.shape[-2])
    linear.weight.data, linear.bias.data = stacked.weight[member].data, stacked.bias[member].data
    return linear


def perturb_norms(module: nn.Module) -> None:
    """LayerNorm's scale and shift start at 1 and 0 for all; make them differ, or the test could not fail."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norms" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_stack_equals_separate_networks(activation, layer_norm):
    mlp = StackedMLP((3,), 5, (16, 8), 2, activation=activation, layer_norm=layer_norm)
    initialise(mlp, Streams([0, 1, 2], "init").generators)
    perturb_norms(mlp)
    x = torch.randn(3, 7, 5)
    together = mlp(x)
    for k in range(3):
        torch.testing.assert_close(together[k], separate(mlp, (k,), activation)(x[k]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_critic_ensemble_of_seeds_equals_separate_critics(layer_norm):
    critic = CriticEnsemble((2,), 3, 4, 2, (16, 16), layer_norm=layer_norm)
    initialise(critic, Streams([0, 1], "init").generators)
    perturb_norms(critic)
    observations, actions = torch.randn(2, 7, 4), torch.rand(2, 7, 2)
    q = critic(observations, actions)
    assert q.shape == (2, 3, 7)
    for k in range(2):
        for e in range(3):
            alone = separate(critic.net, (k, e), "silu")(torch.cat([observations[k], actions[k]], -1))
            torch.testing.assert_close(q[k, e], alone.squeeze(-1), atol=1e-6, rtol=1e-6)


def test_actions_per_member_reach_their_own_member():
    critic = CriticEnsemble((2,), 3, 4, 2, (16,))
    initialise(critic, Streams([0, 1], "init").generators)
    observations, actions = torch.randn(2, 7, 4), torch.rand(2, 3, 7, 2)
    q = critic(observations, actions)
    for e in range(3):
        torch.testing.assert_close(q[:, e], critic(observations, actions[:, e])[:, e])


def test_gradients_of_a_stack_are_those_of_separate_networks():
    mlp = StackedMLP((3,), 5, (16,), 1, layer_norm=True)
    initialise(mlp, Streams([0, 1, 2], "init").generators)
    x = torch.randn(3, 7, 5)
    (mlp(x) ** 2).mean((1, 2)).sum().backward()
    for k in range(3):
        alone = separate(mlp, (k,), "silu")
        (alone(x[k]) ** 2).mean().backward()
        torch.testing.assert_close(mlp.hidden[0].weight.grad[k], alone[0].weight.grad, atol=1e-6, rtol=1e-5)


def test_a_seed_starts_the_same_alone_and_in_a_stack():
    together, alone = (StackedMLP((n,), 5, (16,), 2) for n in (3, 1))
    initialise(together, Streams([4, 5, 6], "init").generators)
    initialise(alone, Streams([5], "init").generators)
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a[1], b[0])


def test_initial_weights_are_uniform_as_in_torch_linear():
    mlp = StackedMLP((4,), 100, (200,), 1)
    initialise(mlp, Streams([0, 1, 2, 3], "init").generators)
    weight = mlp.hidden[0].weight
    assert weight.abs().max() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.01)


@pytest.fixture
def actor() -> TanhGaussianActor:
    actor = TanhGaussianActor((2,), 4, 3, (16,))
    initialise(actor, Streams([0, 1], "init").generators)
    return actor


def squashed(actor: TanhGaussianActor, observations: torch.Tensor) -> TransformedDistribution:
    mean, log_std = actor(observations)
    normal = Independent(Normal(mean, log_std.exp()), 1)
    return TransformedDistribution(normal, [TanhTransform()])


def test_log_densities_equal_torch_distributions(actor):
    observations = torch.randn(2, 50, 4)
    actions, log_probs = actor.sample(observations, torch.randn(2, 50, 3))
    expected = squashed(actor, observations).log_prob(actions.clamp(-1 + 1e-6, 1 - 1e-6))
    torch.testing.assert_close(log_probs, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(actor.log_prob(observations, actions), log_probs, atol=1e-3, rtol=1e-4)


def test_log_prob_uses_the_actions_it_is_given(actor):
    """A public code base ignores them."""
    observations = torch.randn(2, 5, 4)
    a, b = torch.zeros(2, 5, 3), torch.full((2, 5, 3), 0.9)
    assert (actor.log_prob(observations, a) - actor.log_prob(observations, b)).abs().min() > 0.1


def test_tanh_log_det_is_finite_where_tanh_saturates():
    u = torch.tensor([-50.0, 0.0, 50.0])
    torch.testing.assert_close(
        tanh_log_det(u), torch.tensor([2 * (math.log(2) - 50), 0.0, 2 * (math.log(2) - 50)])
    )


def test_several_samples_per_state_lie_side_by_side(actor):
    observations, noise = torch.randn(2, 5, 4), torch.randn(2, 15, 3)
    actions, log_probs = actor.sample(observations, noise)
    one, log_one = actor.sample(observations[:, 2:3], noise[:, 7:8])
    torch.testing.assert_close(actions[:, 7:8], one)
    torch.testing.assert_close(log_probs[:, 7:8], log_one)


def test_the_deterministic_actor_stays_in_the_box_and_ignores_noise():
    actor = DeterministicActor((2,), 4, 3, (16,))
    initialise(actor, Streams([0, 1], "init").generators)
    observations = 100.0 * torch.randn(2, 5, 4)
    assert actor.act(observations).abs().max() <= 1.0
    assert torch.equal(actor.act(observations), actor.act(observations, torch.randn(2, 5, 3)))

"""BC, IQL and TD3+BC: values by hand, gradients and signs."""

import math

import pytest
import torch
from support import ACT, OBS, random_batch, toy_agent

from smac.agents.base import Agent
from smac.agents.iql import IQLConfig, advantage_weights, cosine_decay, expectile_loss
from smac.agents.td3_bc import q_weight
from smac.data.replay import Batch
from smac.errors import UserError
from smac.streams import Streams


def train_actor(agent: Agent, mean: float, spread: float, steps: int) -> None:
    """On actions tanh(N(mean, spread^2)) that do not depend on the state."""
    draws = Streams(agent.seeds, "toy")
    for _ in range(steps):
        s = draws.normal(64, OBS)
        actions = torch.tanh(mean + spread * draws.normal(64, ACT))
        agent.update(Batch(s, actions, s, s[..., 0], s[..., 0]))


# ---- BC ------------------------------------------------------------------------------------------------


def test_likelihood_cloning_reaches_the_mean_and_the_spread_of_the_data():
    agent = toy_agent("bc", [0], actor_lr=1e-2)
    train_actor(agent, 0.5, 0.2, 400)
    mean, log_std = agent.actor(Streams([0], "test").normal(64, OBS))
    assert mean.mean().item() == pytest.approx(0.5, abs=0.05)
    assert log_std.mean().exp().item() == pytest.approx(0.2, abs=0.03)


def test_least_squares_cloning_reaches_the_mean_action():
    agent = toy_agent("bc", [0], actor_lr=1e-2, loss="mse")
    train_actor(agent, 0.5, 0.5, 400)
    expected = torch.tanh(0.5 + 0.5 * torch.randn(200_000, generator=torch.Generator().manual_seed(0))).mean()
    action = agent.actor.act(Streams([0], "test").normal(64, OBS)).mean()
    assert action.item() == pytest.approx(expected.item(), abs=0.05)


# ---- IQL -----------------------------------------------------------------------------------------------


def test_expectile_loss_and_its_gradient_by_hand():
    """|0.9 - 1(u < 0)| u^2 at u = 2 and u = -3: 0.9 * 4 and 0.1 * 9; slopes 2 * 0.9 * 2 and -2 * 0.1 * 3."""
    u = torch.tensor([2.0, -3.0], dtype=torch.float64, requires_grad=True)
    loss = expectile_loss(u, 0.9)
    torch.testing.assert_close(loss, torch.tensor([3.6, 0.9], dtype=torch.float64))
    loss.sum().backward()
    torch.testing.assert_close(u.grad, torch.tensor([3.6, -0.6], dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: expectile_loss(x, 0.9), u)


def minimiser(values: torch.Tensor, expectile: float) -> float:
    """The constant of least expectile loss, by bisection on the sign of the gradient."""
    low, high = values.min().item(), values.max().item()
    for _ in range(60):
        middle = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        expectile_loss(values - middle, expectile).sum().backward()
        low, high = (middle.item(), high) if middle.grad < 0 else (low, middle.item())
    return (low + high) / 2


def test_expectile_one_half_is_the_mean_and_more_lies_above_it():
    values = torch.tensor([0.0, 1.0, 5.0], dtype=torch.float64)
    assert minimiser(values, 0.5) == pytest.approx(2.0, abs=1e-9)
    # 0.9 (5 - m) = 0.1 (m - 0) + 0.1 (m - 1)  =>  m = 4.6 / 1.1
    assert minimiser(values, 0.9) == pytest.approx(4.6 / 1.1, abs=1e-9)
    torch.testing.assert_close(expectile_loss(values, 0.5), 0.5 * values**2)


def test_the_value_network_learns_the_expectile():
    """Two equally likely values 0 and 1 at every state: the expectile tau of them is tau."""
    for expectile in (0.5, 0.9):
        agent = toy_agent("iql", [0], expectile=expectile, value_lr=1e-2)
        q = (torch.arange(64) % 2).float().unsqueeze(0)
        batch = random_batch([0], size=64)
        batch.observations.zero_()
        for _ in range(300):
            loss, _ = agent.value_loss(batch, q)
            agent._step(agent.value_optimiser, loss)
        assert agent.values(batch.observations).mean().item() == pytest.approx(expectile, abs=1e-3)


def test_advantage_weights_are_clipped():
    weights = advantage_weights(torch.tensor([-1.0, 0.0, 1.0, 1.6, 50.0]), 3.0, 100.0)
    torch.testing.assert_close(weights, torch.tensor([math.exp(-3), 1.0, math.exp(3), 100.0, 100.0]))


def test_the_actor_of_iql_is_cloning_weighted_by_advantage():
    agent, batch = toy_agent("iql", [0]), random_batch([0])
    with torch.no_grad():
        q = agent.values(batch.observations) + torch.tensor([[9.0, -9.0, 0.1, 0, 0, 0, 0, 0]])
    loss, metrics = agent.actor_loss(batch, q)
    log_probs = agent.actor.log_prob(batch.observations, batch.actions)
    weights = torch.tensor([100.0, math.exp(-27), math.exp(0.3), 1, 1, 1, 1, 1])
    torch.testing.assert_close(loss, -(weights * log_probs).mean(-1))
    assert metrics["train/clipped_weights"].item() == pytest.approx(1 / 8)


def test_iql_backs_up_the_value_of_the_next_state():
    agent, batch = toy_agent("iql", [0]), random_batch([0])
    v = agent.values(batch.next_observations)
    torch.testing.assert_close(agent.target_values(batch), batch.rewards + 0.99 * batch.masks * v)


def test_cosine_decay_of_the_actors_learning_rate():
    assert [cosine_decay(step, 4) for step in (1, 3, 5, 9)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert cosine_decay(10**6, 0) == 1.0
    agent = toy_agent("iql", [0], actor_lr=1e-3, actor_decay_steps=4)
    for step in range(5):
        before = agent.tensors(0)
        agent.update(random_batch([0], purpose=f"batch {step}"))
    after = agent.tensors(0)
    assert torch.equal(before["actor.net.head.weight"], after["actor.net.head.weight"])  # learning rate 0
    assert not torch.equal(before["value.head.weight"], after["value.head.weight"])


def test_an_expectile_outside_0_1_is_refused():
    with pytest.raises(UserError, match=r"--expectile must lie in \(0, 1\)"):
        IQLConfig(expectile=1.0)


# ---- TD3+BC --------------------------------------------------------------------------------------------


def test_lambda_is_alpha_over_the_mean_absolute_value():
    q = torch.tensor([[-2.0, 4.0], [10.0, -30.0]], requires_grad=True)
    weight = q_weight(q, 2.5)
    torch.testing.assert_close(weight, torch.tensor([2.5 / 3.0, 2.5 / 20.0]))
    assert not weight.requires_grad


def test_the_actor_loss_of_td3_bc():
    agent, batch = toy_agent("td3_bc", [0]), random_batch([0])
    loss, _ = agent.actor_loss(batch)
    actions = agent.actor(batch.observations)
    q = agent.critic(batch.observations, actions)[:, 0]
    expected = -2.5 * q.mean() / q.abs().mean() + ((actions - batch.actions) ** 2).mean()
    torch.testing.assert_close(loss[0], expected)


def test_without_values_td3_bc_clones():
    agent = toy_agent("td3_bc", [0], actor_lr=1e-2, bc_alpha=1e-6, policy_delay=1)
    train_actor(agent, 0.5, 0.01, 300)
    action = agent.actor.act(Streams([0], "test").normal(64, OBS)).mean()
    assert action.item() == pytest.approx(math.tanh(0.5), abs=0.02)

"""CQL and Cal-QL: the penalty, its calibration, the backup, and the multiplier of the gap."""

import math

import pytest
import torch
from support import ACT, OBS, SMALL, random_batch, toy_agent

from smac.agents.cal_ql import CalQL, CalQLConfig
from smac.agents.cql import conservative_penalty
from smac.streams import Streams


def penalty_inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(6,), (6, 3), (6, 4), (6, 3), (6, 4)]
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]


def test_penalty_gradient_against_finite_differences():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    for q in (q_data, q_random, q_policy):
        q.requires_grad_(True)
    mc = torch.full((6,), -0.3, dtype=torch.float64)

    def total(*q: torch.Tensor) -> torch.Tensor:
        return conservative_penalty(*q, d_random, d_policy, mc)

    assert torch.autograd.gradcheck(total, (q_data, q_random, q_policy), eps=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(total(q_data, q_random, q_policy).sum(), q_random)
    assert gradient.abs().min() > 0  # a public code base has a penalty without a gradient


def test_calibration_clamps_policy_actions_only():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    high = torch.full((6,), 50.0, dtype=torch.float64)  # above every value
    lifted = conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, high)
    q_all = torch.full_like(q_policy, 50.0)
    torch.testing.assert_close(
        lifted, conservative_penalty(q_data, q_random, q_all, d_random, d_policy, None)
    )
    low = torch.full((6,), -50.0, dtype=torch.float64)
    plain = conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, None)
    torch.testing.assert_close(
        conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, low), plain
    )


def test_clamped_policy_values_are_not_pushed_down():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    q_policy.requires_grad_(True)
    q_random.requires_grad_(True)
    mc = torch.zeros(6, dtype=torch.float64)
    conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, mc).sum().backward()
    below = q_policy.detach() < 0
    assert below.any()
    assert not below.all()
    assert q_policy.grad[below].abs().max() == 0
    assert q_policy.grad[~below].min() > 0
    assert q_random.grad.min() > 0


def test_penalty_of_the_agent_equals_a_loop():
    """The batched penalty is the one computed state by state from the same noise."""
    config = CalQLConfig(**SMALL, cql_actions=3)
    agent, batch = CalQL(config, OBS, ACT, [0]), random_batch([0])
    penalty = agent.penalty(batch)
    noise = Streams([0], "agent/noise")
    random = 2 * noise.uniform(24, ACT) - 1
    here = agent.actor.sample(batch.observations, noise.normal(24, ACT))
    there = agent.actor.sample(batch.next_observations, noise.normal(24, ACT))
    for b in range(8):
        rows = slice(3 * b, 3 * b + 3)
        state = batch.observations[:, b : b + 1].expand(-1, 3, -1)
        q = [agent.critic(state, a[:, rows])[0] for a in (random, here[0], there[0])]
        floor = batch.mc_returns[0, b]
        parts = [
            q[0] + 2 * torch.log(torch.tensor(2.0)),
            q[1].clamp_min(floor) - here[1][0, rows],
            q[2].clamp_min(floor) - there[1][0, rows],
        ]
        q_data = agent.critic(batch.observations[:, b : b + 1], batch.actions[:, b : b + 1])[0, :, 0]
        torch.testing.assert_close(penalty[0, :, b], torch.logsumexp(torch.cat(parts, -1), -1) - q_data)


def test_max_target_backup_takes_the_best_of_the_twin_minima():
    agent = CalQL(CalQLConfig(**SMALL, cql_actions=4), OBS, ACT, [0])
    batch = random_batch([0])
    target = agent.target_values(batch)
    noise = Streams([0], "agent/noise").normal(32, ACT)
    actions, _ = agent.actor.sample(batch.next_observations, noise)
    for b in range(8):
        state = batch.next_observations[:, b : b + 1].expand(-1, 4, -1)
        best = agent.target(state, actions[:, 4 * b : 4 * b + 4]).amin(-2).max()
        expected = batch.rewards[0, b] + 0.99 * batch.masks[0, b] * best
        torch.testing.assert_close(target[0, b], expected)


# ---- the multiplier ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cql", "cal_ql"])
def test_the_multiplier_grows_while_the_penalty_exceeds_the_gap(name):
    for gap, direction in ((-50.0, 1), (50.0, -1)):  # the penalty lies far above the one, far below the other
        agent = toy_agent(name, [0], cql_gap=gap)
        assert agent.multiplier().item() == pytest.approx(math.e)
        for step in range(5):
            metrics = agent.update(random_batch([0], purpose=f"batch {step}"))
        assert direction * (metrics["train/cql_multiplier"].item() - math.e) > 0


def test_value_and_gradient_of_the_multiplier_loss():
    agent = toy_agent("cql", [0], cql_gap=0.8, cql_alpha=5.0)
    loss = agent.multiplier_loss(torch.tensor([2.8]))
    assert loss.item() == pytest.approx(-math.e * 5.0 * 2.0, rel=1e-6)
    loss.sum().backward()
    assert agent.log_multiplier.grad.item() == pytest.approx(-math.e * 5.0 * 2.0, rel=1e-6)


def test_the_multiplier_is_bounded():
    agent = toy_agent("cql", [0], cql_gap=0.8)
    for log_multiplier, expected in ((100.0, 1e6), (-200.0, 0.0)):
        agent.log_multiplier.data.fill_(log_multiplier)
        assert agent.multiplier().item() == expected


def test_critic_loss_with_a_gap():
    """L_AC + alpha' w (penalty - gap), with the alpha' after its own step."""
    agent, plain = toy_agent("cql", [0], cql_gap=0.8, multiplier_lr=1e-12), toy_agent("cql", [0])
    loss, metrics = agent.critic_loss(random_batch([0]))
    expected = metrics["train/bellman_loss"] + math.e * 5.0 * (metrics["train/cql_penalty"] - 0.8)
    torch.testing.assert_close(loss, expected)
    loss, metrics = plain.critic_loss(random_batch([0]))
    torch.testing.assert_close(loss, metrics["train/bellman_loss"] + 5.0 * metrics["train/cql_penalty"])


def test_cql_is_cal_ql_without_the_floor():
    """With returns below every value the floor does nothing; with returns above, it lifts."""
    for returns, same in ((-1e3, True), (1e3, False)):
        batch = random_batch([0])
        batch.mc_returns.fill_(returns)
        cql, cal_ql = (toy_agent(name, [0]).penalty(batch) for name in ("cql", "cal_ql"))
        assert torch.equal(cql, cal_ql) is same

"""TD3: smoothing, delay, targets, exploration."""

import pytest
import torch
from support import ACT, OBS, assert_same_tensors, random_batch, toy_agent

from smac.agents.td3 import TD3Config, smoothed
from smac.errors import UserError
from smac.streams import Streams


def test_target_smoothing_is_clipped_twice():
    actions = torch.tensor([0.0, 0.0, 0.0, 0.9, -0.9])
    noise = torch.tensor([1.0, 10.0, -10.0, 2.0, -10.0])
    expected = torch.tensor([0.2, 0.5, -0.5, 1.0, -1.0])
    torch.testing.assert_close(smoothed(actions, noise, 0.2, 0.5), expected)


def test_the_target_by_hand():
    """r + gamma * mask * min over the target critics at the target actor's smoothed action."""
    agent, batch = toy_agent("td3", [0]), random_batch([0])
    with torch.no_grad():
        for p in agent.target_actor.parameters():
            p.add_(0.1)  # so that it differs from the actor
    target = agent.target_values(batch)
    noise = Streams([0], "agent/noise").normal(8, ACT)
    actions = smoothed(agent.target_actor(batch.next_observations), noise, 0.2, 0.5)
    values = agent.target(batch.next_observations, actions)
    expected = batch.rewards + 0.99 * batch.masks * values.min(dim=-2).values
    torch.testing.assert_close(target, expected)
    assert not target.requires_grad


def test_actor_and_targets_move_on_every_second_update_only():
    agent = toy_agent("td3", [0])
    for step in range(1, 7):
        before = agent.tensors(0)
        metrics = agent.update(random_batch([0], purpose=f"batch {step}"))
        after = agent.tensors(0)
        moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
        assert moved == ({"critic"} if step % 2 else {"critic", "actor", "target", "target_actor"})
        assert ("train/actor_loss" in metrics) == (step % 2 == 0)


def test_the_target_actor_follows_slowly():
    agent = toy_agent("td3", [0], target_rate=0.25)
    assert_same_tensors(agent.target_actor.state_dict(), agent.actor.state_dict())
    before = [p.clone() for p in agent.target_actor.parameters()]
    with torch.no_grad():
        for p in agent.actor.parameters():
            p.add_(1.0)
    agent.update_targets()
    for old, new in zip(before, agent.target_actor.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


def test_the_actor_step_leaves_the_critics_untouched():
    agent = toy_agent("td3", [0])
    loss, _ = agent.actor_loss(random_batch([0]))
    agent._step(agent.actor_optimiser, loss)
    assert all(p.grad is None for p in agent.critic.parameters())


def test_exploration_is_gaussian_around_the_actors_action_and_stays_in_the_box():
    agent = toy_agent("td3", [0])
    observation = torch.ones(1, OBS)
    mean = agent.actor.act(observation.unsqueeze(1)).squeeze(1)
    differences = torch.cat([agent.explore(observation) - mean for _ in range(4000)])
    assert differences.std(0).tolist() == pytest.approx([0.1] * ACT, rel=0.05)
    assert differences.mean(0).tolist() == pytest.approx([0.0] * ACT, abs=0.006)
    wild = toy_agent("td3", [0], exploration_noise=50.0)
    actions = torch.cat([wild.explore(observation) for _ in range(50)])
    assert actions.abs().max() == 1.0


def test_a_delay_of_nothing_is_refused():
    with pytest.raises(UserError, match="--policy-delay must be at least 1"):
        TD3Config(policy_delay=0)

"""SAC and TD3 against stable-baselines3: its own `train`, on the same weights, batch and noise.

Its networks take ours' numbers, its replay buffer gives our batch, and its random draws give our noise. So
the losses it logs are those of its own code, and so are the weights after its optimisers' steps.
"""

from types import SimpleNamespace

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.logger import Logger
from support import ACT, OBS, random_batch, toy_agent
from torch import nn

from smac.streams import Streams

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
SIZE, HIDDEN = 64, [16, 16]
SAME = {"activation": "relu", "layer_norm": False, "target_rate": 0.005}


class Nowhere(gymnasium.Env):
    """Only its spaces are asked for."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBS,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACT,))


def their_model(name: str, **options: object):
    model = getattr(stable_baselines3, name)(
        "MlpPolicy", Nowhere(), learning_rate=3e-4, gamma=0.99, tau=0.005, buffer_size=1, device="cpu",
        policy_kwargs={"net_arch": HIDDEN, "activation_fn": nn.ReLU}, **options,
    )  # fmt: skip
    model.set_logger(Logger(None, []))
    batch = random_batch([0], SIZE)
    data = SimpleNamespace(
        observations=batch.observations[0], actions=batch.actions[0],
        next_observations=batch.next_observations[0], rewards=batch.rewards[0].unsqueeze(-1),
        dones=1.0 - batch.masks[0].unsqueeze(-1), discounts=None,
    )  # fmt: skip
    model.replay_buffer.sample = lambda size, env=None: data
    return model


def pairs(ours, member: tuple[int, ...], theirs: list[nn.Module]):
    """Our stacked layers and their plain ones, in order."""
    plain = [m for module in theirs for m in module.modules() if isinstance(m, nn.Linear)]
    layers = [(layer.weight[member], layer.bias[member]) for layer in ours.hidden]
    head, bias = ours.head.weight[member], ours.head.bias[member]
    rows = len(head) // (len(plain) - len(layers))  # mean and log_std are two heads of theirs
    layers += [(head[i : i + rows], bias[i : i + rows]) for i in range(0, len(head), rows)]
    assert len(layers) == len(plain)
    for (weight, b), linear in zip(layers, plain, strict=True):
        yield weight, linear.weight
        yield b, linear.bias


def networks(agent, model):
    """Every pair of parameters, ours first."""
    stochastic = hasattr(agent, "log_alpha")

    def actor(theirs):
        return [theirs.latent_pi, theirs.mu, theirs.log_std] if stochastic else [theirs.mu]

    yield from pairs(agent.actor.net, (0,), actor(model.actor))
    if not stochastic:
        yield from pairs(agent.target_actor.net, (0,), actor(model.actor_target))
    for ours, theirs in ((agent.critic, model.critic), (agent.target, model.critic_target)):
        for e, q in enumerate(theirs.q_networks):
            yield from pairs(ours.net, (0, e), [q])


@torch.no_grad()
def same_weights(agent, model) -> None:
    for name, module in agent.modules().items():
        if name.startswith("target"):  # targets that differ from their sources
            for p in module.parameters():
                p.add_(0.01)
    for ours, theirs in networks(agent, model):
        theirs.copy_(ours)


def assert_same_weights(agent, model) -> None:
    for ours, theirs in networks(agent, model):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)


def logged(model, name: str) -> torch.Tensor:
    return torch.tensor([float(model.logger.name_to_value[f"train/{name}"])])


def test_sac_equals_stable_baselines3(monkeypatch):
    agent = toy_agent("sac", [0], **SAME, backup_entropy=True, initial_temperature=0.5)
    with torch.no_grad():
        agent.actor.net.head.bias[:, ACT:] -= 1.0  # theirs adds 1e-6 to 1 - a^2, which matters near the box
    model = their_model("SAC", ent_coef="auto_0.5")
    same_weights(agent, model)
    streams = Streams([0], "agent/noise")
    ours_first = [streams.normal(SIZE, ACT)[0] for _ in range(2)]  # at s' in our target, at s in our actor
    queue = ours_first[::-1]  # theirs draws at s first
    monkeypatch.setattr(
        "torch.distributions.normal._standard_normal", lambda shape, dtype, device: queue.pop(0)
    )

    batch = random_batch([0], SIZE)
    metrics: dict[str, torch.Tensor] = {}
    critic_loss, _ = agent.critic_loss(batch)
    agent._step(agent.critic_optimiser, critic_loss)
    actor_loss, log_probs, _ = agent.actor_loss(batch)
    temperature_loss, _ = agent.temperature_loss(log_probs)
    agent._step(agent.actor_optimiser, actor_loss)
    agent._step(agent.temperature_optimiser, temperature_loss)
    agent.update_targets()
    metrics |= {"critic_loss": critic_loss, "actor_loss": actor_loss, "ent_coef_loss": temperature_loss}

    model.train(gradient_steps=1, batch_size=SIZE)
    assert not queue
    for name, value in metrics.items():
        torch.testing.assert_close(value.detach(), logged(model, name), **TOLERANCE)
    torch.testing.assert_close(agent.log_alpha.detach(), model.log_ent_coef.detach(), **TOLERANCE)
    assert_same_weights(agent, model)


def test_sac_updates_as_its_parts_do():
    """The test above takes the steps one by one; `update` takes the same."""
    one, other = (toy_agent("sac", [0], **SAME) for _ in range(2))
    batch = random_batch([0], SIZE)
    metrics = one.update(batch)
    loss, _ = other.critic_loss(batch)
    other._step(other.critic_optimiser, loss)
    loss, _, more = other.actor_loss(batch)
    assert torch.equal(more["train/actor_loss"], metrics["train/actor_loss"])


def test_td3_equals_stable_baselines3(monkeypatch):
    """Two updates, so that the delayed step of actor and targets is among them."""
    agent = toy_agent("td3", [0], **SAME)
    model = their_model("TD3", policy_delay=2, target_policy_noise=0.2, target_noise_clip=0.5)
    same_weights(agent, model)
    streams = Streams([0], "agent/noise")
    queue = [streams.normal(SIZE, ACT)[0] for _ in range(2)]
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, mean, std: self.copy_(std * queue.pop(0)))

    for update in (1, 2):
        critic_loss = agent.config.ensemble * agent.update(random_batch([0], SIZE))["train/bellman_loss"]
        model.train(gradient_steps=1, batch_size=SIZE)
        torch.testing.assert_close(critic_loss, logged(model, "critic_loss"), **TOLERANCE)
        assert_same_weights(agent, model)
        assert ("train/actor_loss" in model.logger.name_to_value) == (update == 2)
    assert not queue


def test_the_losses_of_td3_equal_stable_baselines3(monkeypatch):
    agent = toy_agent("td3", [0], **SAME, policy_delay=1)
    model = their_model("TD3", policy_delay=1)
    same_weights(agent, model)
    noise = Streams([0], "agent/noise").normal(SIZE, ACT)[0]
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, mean, std: self.copy_(std * noise))
    batch = random_batch([0], SIZE)
    critic_loss, _ = agent.critic_loss(batch)
    agent._step(agent.critic_optimiser, critic_loss)
    actor_loss, _ = agent.actor_loss(batch)
    model.train(gradient_steps=1, batch_size=SIZE)
    torch.testing.assert_close(critic_loss.detach(), logged(model, "critic_loss"), **TOLERANCE)
    torch.testing.assert_close(actor_loss.detach(), logged(model, "actor_loss"), **TOLERANCE)

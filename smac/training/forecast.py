"""What the first online updates would do to checkpoints, on a few episodes of their own and without more.

After a switch the actor follows the critic's action gradient. If Bellman updates on a handful of episodes
turn that gradient at the policy's own actions, the actor is led elsewhere before there is experience to
correct it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from smac.agents.base import ActorCritic
from smac.agents.sac import SAC
from smac.agents.smac import action_gradient
from smac.checkpoint import Checkpoint
from smac.data.replay import ReplayBuffer
from smac.errors import UserError
from smac.streams import Streams
from smac.tasks import Task
from smac.training.evaluate import Evaluator
from smac.training.experience import OnlineEnvs, collect_step
from smac.training.online import FinetuneOptions, carry_over
from smac.training.switch import balance_temperature

STATES = 512  # at which gradients are compared, of the checkpoint's own


@dataclass(frozen=True)
class Forecast:
    """After each number of updates and for each seed, [updates, seeds]; row 0 is the checkpoint itself."""

    updates: tuple[int, ...]
    gradient_cosine: np.ndarray  # of grad_a Q with that before, at the policy's first actions
    gradient_norm: np.ndarray  # |grad_a Q| there
    moved: np.ndarray  # root mean square change of the policy's mean actions there
    score: np.ndarray  # normalised score of the policy, NaN where it was not played
    returns: np.ndarray  # mean return
    temperature: np.ndarray  # [seeds] before the first update; NaN without one


def forecast(
    task: Task,
    agent: ActorCritic,
    checkpoints: Sequence[Checkpoint],
    options: FinetuneOptions,
    *,
    updates: Sequence[int] = (0, 50, 100, 200),
    steps: int | None = None,
) -> Forecast:
    """Collect `steps` transitions per seed (one episode's worth if None) with the checkpoints' policies, then
    update on these alone. `options.eval_episodes` are played after each number of updates, if any."""
    check_rising(updates)
    carry_over(agent, checkpoints, options)
    buffer = experience(task, agent, steps or task.horizon)
    temperature = np.full(len(agent.seeds), np.nan)
    if isinstance(agent, SAC):
        if options.temperature_at_switch == "entropy":
            balance_temperature(agent, buffer.observations)
        temperature = agent.alpha.squeeze(-1).cpu().numpy()
    index = Streams(agent.seeds, "forecast/states", agent.device).integers(len(buffer), STATES)
    states = torch.stack([own[i] for own, i in zip(buffer.observations, index, strict=True)])
    with torch.no_grad():
        actions = agent.actor.act(states)
    before = mean_gradient(agent, states, actions)
    evaluator = Evaluator(task, len(agent.seeds), options.eval_episodes, options.eval_seed, agent.device)
    rows = []
    for count in updates:
        while agent.updates < count:
            agent.update(buffer.sample(agent.config.batch_size))
        gradient = mean_gradient(agent, states, actions)
        played = evaluator(agent.actor)
        with torch.no_grad():
            change = (agent.actor.act(states) - actions).square().mean((-2, -1)).sqrt()
        rows.append((
            F.cosine_similarity(gradient, before, dim=-1).mean(-1).cpu().numpy(),
            gradient.norm(dim=-1).mean(-1).cpu().numpy(),
            change.cpu().numpy(),
            played["eval/score"],
            played["eval/return"],
        ))  # fmt: skip
    evaluator.close()
    cosine, norm, moved, score, returns = (np.stack(column) for column in zip(*rows, strict=True))
    return Forecast(tuple(updates), cosine, norm, moved, score, returns, temperature)


def check_rising(updates: Sequence[int]) -> None:
    """UserError for numbers of updates that cannot be measured one after another."""
    if sorted(set(updates)) != list(updates) or not updates or updates[0] != 0:
        raise UserError(f"--after must rise from 0, got {' '.join(map(str, updates))}")


def experience(task: Task, agent: ActorCritic, steps: int) -> ReplayBuffer:
    """Transitions of the agent's exploring policy, `steps` for each seed."""
    envs = OnlineEnvs(task, agent.seeds)
    buffer = ReplayBuffer(agent.seeds, steps, agent.observation_dim, agent.action_dim, agent.device)
    for _ in range(steps):
        collect_step(agent.explore, envs, buffer, agent.rewards)
    envs.close()
    return buffer


def mean_gradient(agent: ActorCritic, observations: Tensor, actions: Tensor) -> Tensor:
    """grad_a of the members' mean Q, [seeds, batch, action]."""
    return action_gradient(agent.critic, observations, actions).mean(-3).detach()

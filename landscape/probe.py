"""A fixed batch of transitions on which critics and policies are compared, the same one for every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gymnasium import Env
from torch import Tensor

from smac.data.transitions import Episode, Transitions
from smac.envs import make_env
from smac.errors import UserError
from smac.nets import Actor
from smac.policies import PolicyCheckpoint, stack_actor
from smac.streams import derive_seed
from smac.tasks import Task

EPISODES = 5  # of the policy that is probed
SIZE = 1024  # at most as many transitions
DISCOUNT = 0.99  # of returns-to-go, which nobody asks a probe for


@dataclass(frozen=True)
class Probe:
    """Transitions, all float32. `masks` is 0 where the episode terminated, 1 elsewhere."""

    observations: Tensor  # [n, observation]
    actions: Tensor  # [n, action]
    next_observations: Tensor  # [n, observation]
    rewards: Tensor  # [n]
    masks: Tensor  # [n]
    source: str
    """Where they are from, in words."""

    def __len__(self) -> int:
        return len(self.rewards)


def probe_of_policy(policy: PolicyCheckpoint, name: str, task: Task, seeds: Sequence[int]) -> Probe:
    """Transitions of episodes on `seeds` with the policy's mean actions, evenly thinned to `SIZE`."""
    actor = stack_actor(policy.spec, [policy.params])
    env = make_env(task)
    try:
        episodes = [_play(env, actor, seed) for seed in seeds]
    finally:
        env.close()
    whole = [episode for episode in episodes if len(episode)]
    if not whole:
        raise UserError(
            f"{policy.path}: its actions are not finite, so there are no transitions to probe with"
        )
    found = Transitions.from_episodes(whole, discount=DISCOUNT, failure_reward=task.failure_reward)
    index = np.unique(np.linspace(0, len(found) - 1, SIZE).round().astype(np.int64))
    return _chosen(found, torch.from_numpy(index), f"{len(whole)} episodes of {name} with mean actions")


def probe_of_dataset(dataset: str, root: Path | None, task: Task, seed: int) -> Probe:
    """`SIZE` transitions of a dataset, drawn without replacement."""
    from smac.data.memory_map import load_transitions  # with Minari and h5py, slow to load

    found = load_transitions(dataset, task, root, discount=DISCOUNT)
    rng = np.random.default_rng(derive_seed(seed, "probe"))
    index = np.sort(rng.choice(len(found), size=min(SIZE, len(found)), replace=False))
    return _chosen(found, torch.from_numpy(index), f"the dataset {dataset}")


def _chosen(found: Transitions, index: Tensor, source: str) -> Probe:
    return Probe(
        found.observations[index],
        found.actions[index],
        found.next_observations[index],
        found.rewards[index],
        found.masks[index],
        f"{len(index)} transitions of {source}",
    )


@torch.no_grad()
def _play(env: Env, actor: Actor, seed: int) -> Episode:
    """One episode with mean actions, up to its end or to an action or observation that is not finite."""
    observations = [np.asarray(env.reset(seed=seed)[0], np.float32)]
    actions, rewards, successes = [], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = actor.act(torch.from_numpy(observations[-1])[None, None])[0, 0].numpy()
        if not np.isfinite(action).all():
            break
        observation, reward, terminated, truncated, info = env.step(action)
        if not (np.isfinite(observation).all() and np.isfinite(float(reward))):
            terminated = False
            break
        observations.append(np.asarray(observation, np.float32))
        actions.append(action)
        rewards.append(float(reward))
        successes.append(bool(info.get("success", False)))
    return Episode(
        np.stack(observations),
        np.array(actions, np.float32),
        np.array(rewards, np.float32),
        np.array(successes, bool),
        bool(terminated),
        not terminated,
    )

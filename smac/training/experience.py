"""Experience of the online phase: one environment per seed, stepped in lock-step into the replay buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smac.data.replay import ReplayBuffer
from smac.data.rewards import UNSCALED, RewardScale
from smac.envs import make_env, reports_success
from smac.streams import Streams, derive_seed
from smac.tasks import Task
from smac.training.finite import check_given

Explore = Callable[[Tensor], Tensor]  # observations [seeds, observation] -> actions [seeds, action]


class OnlineEnvs:
    """One training environment per seed, stepped in lock-step, each with its own random stream."""

    def __init__(self, task: Task, seeds: Sequence[int]) -> None:
        self.envs, self.seeds = [make_env(task) for _ in seeds], tuple(seeds)
        self.has_success = reports_success(task)
        self.succeeded = [False] * len(seeds)  # so far in the episode under way
        self.taken = 0  # steps
        self.episodes = [-1] * len(seeds)
        self.actions: list[list[np.ndarray]] = [[] for _ in seeds]  # of the episode under way
        self.observations = np.stack([self._reset(k) for k in range(len(seeds))])
        self.returns = np.zeros(len(seeds))
        self.finished: list[list[tuple[float, float]]] = [[] for _ in seeds]

    def _reset(self, k: int) -> np.ndarray:
        """Begin the next episode of seed k, from a seed of its own: that and its actions are its state."""
        self.episodes[k] += 1
        self.actions[k], self.succeeded[k] = [], False
        seed = derive_seed(self.seeds[k], "online/env", self.episodes[k]) % 2**31
        observation = np.asarray(self.envs[k].reset(seed=seed)[0], np.float32)
        check_given(self.taken, self.seeds[k], "environment's first observation of an episode", observation)
        return observation

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next observations, rewards and terminations, [seeds, ...]; an ended episode then starts again.

        The next observation of an episode's last step is its own, not the first of the episode that follows.
        UserError at the first number that is not finite.
        """
        self.taken += 1
        nexts = np.empty_like(self.observations)
        rewards, terminations = np.zeros(len(self.envs), np.float32), np.zeros(len(self.envs), bool)
        for k, env in enumerate(self.envs):
            check_given(self.taken, self.seeds[k], "policy's action", actions[k])
            nexts[k], reward, terminations[k], truncated, info = env.step(actions[k])
            check_given(self.taken, self.seeds[k], "environment's observation", nexts[k])
            check_given(self.taken, self.seeds[k], "environment's reward", float(reward))
            rewards[k] = reward
            self.observations[k] = nexts[k]
            self.actions[k].append(actions[k].copy())
            self.returns[k] += rewards[k]
            self.succeeded[k] |= bool(info.get("success", False))
            self.has_success |= self.succeeded[k]
            if terminations[k] or truncated:
                success = float(self.succeeded[k]) if self.has_success else float("nan")
                self.finished[k].append((self.returns[k], success))
                self.returns[k] = 0.0
                self.observations[k] = self._reset(k)
        return nexts, rewards, terminations

    def take_finished(self) -> dict[str, np.ndarray]:
        """Means over the episodes that ended since the last call, [seeds]; NaN where there are none."""
        pairs = [np.array(f, dtype=float).reshape(-1, 2) for f in self.finished]
        self.finished = [[] for _ in self.envs]
        means = np.array([p.mean(0) if len(p) else (np.nan, np.nan) for p in pairs])
        return {"train/episode_return": means[:, 0], "train/episode_success": means[:, 1]}

    def state(self) -> dict[str, Any]:
        """Per seed: the number of the episode under way, its actions so far, and the ones that ended."""
        return {
            "taken": self.taken,
            "has_success": self.has_success,
            "episodes": self.episodes,
            "actions": [torch.from_numpy(np.array(a, np.float32)) for a in self.actions],
            "returns": self.returns.tolist(),
            "finished": self.finished,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Play the unfinished episodes again, action by action: simulators repeat themselves from a seed."""
        self.taken = state.get("taken", 0)  # states of older runs do not say
        self.has_success |= state.get("has_success", False)
        for k, actions in enumerate(state["actions"]):
            self.episodes[k] = state["episodes"][k] - 1
            self.observations[k] = self._reset(k)
            for action in actions.numpy():
                self.observations[k], *_, info = self.envs[k].step(action)
                self.succeeded[k] |= bool(info.get("success", False))
                self.actions[k].append(action)
        self.returns = np.array(state["returns"])
        self.finished = [[(total, success) for total, success in f] for f in state["finished"]]

    def close(self) -> None:
        for env in self.envs:
            env.close()


class UniformActions:
    """Actions drawn evenly from the box, for the first steps of an agent that is trained from scratch."""

    def __init__(self, seeds: Sequence[int], action_dim: int, device: torch.device | str = "cpu") -> None:
        self.stream, self.action_dim = Streams(seeds, "online/uniform-actions", device), action_dim

    def __call__(self, observations: Tensor) -> Tensor:
        return 2.0 * self.stream.uniform(self.action_dim) - 1.0


@torch.no_grad()
def collect_step(
    explore: Explore, envs: OnlineEnvs, buffer: ReplayBuffer, scale: RewardScale = UNSCALED
) -> None:
    """One environment step per seed, with the actions that `explore` chooses; rewards are stored scaled."""
    to = buffer.rewards.device
    observations = torch.from_numpy(envs.observations.copy()).to(to)
    actions = explore(observations)
    nexts, rewards, terminations = envs.step(actions.cpu().numpy())
    buffer.add(
        observations,
        actions,
        torch.from_numpy(nexts).to(to),
        scale(torch.from_numpy(rewards).to(to)),
        torch.from_numpy(terminations).to(to),
    )

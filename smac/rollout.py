"""Stacked policies in lock-step environments on fixed episode seeds.

Used by training for evaluation and by the landscape. The unit is the return matrix R[point, episode]: every
point plays the same episodes, with the same start state and the same policy noise (common random numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from smac.streams import derive_seed


class Policy(Protocol):
    """A stack of policies; every actor of `smac.nets` is one."""

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Rollouts:
    """Results [points, episodes]. A return is NaN where the policy's action was not finite."""

    returns: np.ndarray  # float64, undiscounted, in the task's own reward
    lengths: np.ndarray  # int64, environment steps
    successes: np.ndarray  # bool
    solved: np.ndarray  # float64, sub-tasks solved at the end; NaN where the environment counts none

    @classmethod
    def empty(cls, points: int, episodes: int) -> Self:
        """Nothing played yet: returns are NaN."""
        shape = (points, episodes)
        return cls(
            returns=np.full(shape, np.nan),
            lengths=np.zeros(shape, np.int64),
            successes=np.zeros(shape, bool),
            solved=np.full(shape, np.nan),
        )

    def put(self, rows: slice, columns: slice, part: Rollouts) -> None:
        """Take over the results of some points and episodes."""
        for f in fields(self):
            getattr(self, f.name)[rows, columns] = getattr(part, f.name)


def joined(parts: Sequence[Rollouts]) -> Rollouts:
    """The same points' episodes, part after part."""
    return Rollouts(
        *(np.concatenate([getattr(part, f.name) for part in parts], axis=1) for f in fields(Rollouts))
    )


def episode_seeds(seed: int, episodes: int) -> list[int]:
    """The environment seeds of episodes 0, 1, ... of a study; more episodes extend the list."""
    return [derive_seed(seed, "episode", j) % 2**31 for j in range(episodes)]


def policy_noise(episode_seed: int, horizon: int, action_dim: int) -> np.ndarray:
    """Standard normal noise [horizon, action] of an episode, indexed by its step; policies share it."""
    generator = np.random.default_rng(derive_seed(episode_seed, "policy"))
    return generator.standard_normal((horizon, action_dim), dtype=np.float32)


class LockStep:
    """A grid of environments, built once and reused: row p plays for point p, column j episode j."""

    def __init__(
        self, make_env: Callable[[], gymnasium.Env], horizon: int, device: torch.device | str = "cpu"
    ) -> None:
        self.make_env, self.horizon, self.device = make_env, horizon, device
        self.envs: list[gymnasium.Env] = []

    @torch.no_grad()
    def play(
        self, policy: Policy, points: int, seeds: Sequence[int], *, stochastic: bool = False
    ) -> Rollouts:
        """Each of `points` stacked policies plays one episode on each seed; all of them are awaited."""
        shape = (points, len(seeds))
        while len(self.envs) < points * len(seeds):
            self.envs.append(self.make_env())
        envs = np.array(self.envs[: points * len(seeds)], dtype=object).reshape(shape)
        observations = np.stack(
            [[envs[p, j].reset(seed=seed)[0] for j, seed in enumerate(seeds)] for p in range(points)]
        ).astype(np.float32)
        noise = None
        if stochastic:
            dim = envs[0, 0].action_space.shape[0]
            per_seed = np.stack([policy_noise(seed, self.horizon, dim) for seed in seeds])
            noise = torch.from_numpy(per_seed).to(self.device)
        played, running = Rollouts.empty(*shape), np.ones(shape, dtype=bool)
        returns, lengths = played.returns, played.lengths
        returns[:] = 0.0
        while running.any():
            t = int(lengths.max())
            step_noise = None if noise is None else noise[:, t].expand(points, -1, -1)
            rows = torch.from_numpy(observations).to(self.device)
            actions = policy.act(rows, step_noise).cpu().numpy()
            for p, j in zip(*np.nonzero(running), strict=True):
                if not np.isfinite(actions[p, j]).all():
                    returns[p, j], running[p, j] = np.nan, False
                    continue
                observation, reward, terminated, truncated, info = envs[p, j].step(actions[p, j])
                observations[p, j] = observation
                returns[p, j] += float(reward)
                lengths[p, j] += 1
                played.successes[p, j] |= bool(info.get("success", False))
                played.solved[p, j] = info.get("solved", np.nan)
                running[p, j] = not (terminated or truncated)
        return played

    def close(self) -> None:
        for env in self.envs:
            env.close()
        self.envs.clear()

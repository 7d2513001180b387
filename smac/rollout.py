"""Stacked policies in lock-step environments on fixed episode seeds.

Used by training for evaluation and by the landscape. The unit is the return matrix R[point, episode]: every
point plays the same episodes, with the same start state and the same policy noise (common random numbers).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Protocol, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from smac.envs.stability import diverged
from smac.errors import UserError
from smac.streams import derive_seed

logger = logging.getLogger(__name__)


class Status(IntEnum):
    """How an episode ended. Only a finished one has a return; every other return is NaN."""

    NOT_PLAYED = 0
    FINISHED = 1
    BAD_ACTION = 2  # the policy's action was not finite
    DIVERGED = 3  # the simulation became unstable, gave numbers that are not finite, or raised an error
    TIMED_OUT = 4  # its steps took longer than the limit


class Policy(Protocol):
    """A stack of policies; every actor of `smac.nets` is one."""

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Rollouts:
    """Results [points, episodes]. A return is NaN wherever the status is not `FINISHED`."""

    returns: np.ndarray  # float64, undiscounted, in the task's own reward
    lengths: np.ndarray  # int64, environment steps
    successes: np.ndarray  # bool
    solved: np.ndarray  # float64, sub-tasks solved at the end; NaN where the environment counts none
    statuses: np.ndarray  # int8, of Status

    @classmethod
    def empty(cls, points: int, episodes: int) -> Self:
        """Nothing played yet: returns are NaN."""
        shape = (points, episodes)
        return cls(
            returns=np.full(shape, np.nan),
            lengths=np.zeros(shape, np.int64),
            successes=np.zeros(shape, bool),
            solved=np.full(shape, np.nan),
            statuses=np.zeros(shape, np.int8),
        )

    def put(self, rows: Sequence[int], columns: Sequence[int], part: Rollouts) -> None:
        """Take over the results of some points and episodes, by their indices."""
        for f in fields(self):
            getattr(self, f.name)[np.ix_(rows, columns)] = getattr(part, f.name)


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


def actions_of(env: gymnasium.Env) -> int:
    """How many numbers an action has."""
    return int(np.prod(env.action_space.shape or ()))


class LockStep:
    """A grid of environments, built once and reused: row p plays for point p, column j episode j."""

    def __init__(
        self,
        make_env: Callable[[], gymnasium.Env],
        horizon: int,
        device: torch.device | str = "cpu",
        time_limit: float = float("inf"),
    ) -> None:
        """`time_limit`: seconds that the simulation of one episode may take, the policy not counted."""
        self.make_env, self.horizon, self.device, self.time_limit = make_env, horizon, device, time_limit
        self.envs: list[gymnasium.Env] = []

    @torch.no_grad()
    def play(
        self, policy: Policy, points: int, seeds: Sequence[int], *, stochastic: bool = False
    ) -> Rollouts:
        """Each of `points` stacked policies plays one episode on each seed; all of them are awaited."""
        shape = (points, len(seeds))
        while len(self.envs) < points * len(seeds):
            self.envs.append(self.make_env())
        index = np.arange(points * len(seeds)).reshape(shape)
        observations = np.stack(
            [[self.envs[i].reset(seed=seed)[0] for i, seed in zip(row, seeds, strict=True)] for row in index]
        ).astype(np.float32)
        noise = None
        if stochastic:
            dim = actions_of(self.envs[0])
            per_seed = np.stack([policy_noise(seed, self.horizon, dim) for seed in seeds])
            noise = torch.from_numpy(per_seed).to(self.device)
        played, seconds = Rollouts.empty(*shape), np.zeros(shape)
        returns, statuses = np.zeros(shape), played.statuses
        while (statuses == Status.NOT_PLAYED).any():
            t = int(played.lengths.max())
            step_noise = None if noise is None else noise[:, t].expand(points, -1, -1)
            rows = torch.from_numpy(observations).to(self.device)
            actions = policy.act(rows, step_noise).cpu().numpy()
            for p, j in zip(*np.nonzero(statuses == Status.NOT_PLAYED), strict=True):
                if not np.isfinite(actions[p, j]).all():
                    statuses[p, j] = Status.BAD_ACTION
                    continue
                began = time.perf_counter()
                outcome = self._step(index[p, j], actions[p, j])
                seconds[p, j] += time.perf_counter() - began
                if outcome is None:
                    statuses[p, j] = Status.DIVERGED
                    continue
                observations[p, j], reward, ended, info = outcome
                returns[p, j] += reward
                played.lengths[p, j] += 1
                played.successes[p, j] |= bool(info.get("success", False))
                played.solved[p, j] = info.get("solved", np.nan)
                if ended:
                    unstable = diverged(self.envs[index[p, j]])
                    statuses[p, j] = Status.DIVERGED if unstable else Status.FINISHED
                elif seconds[p, j] > self.time_limit:
                    statuses[p, j] = Status.TIMED_OUT
        finished = statuses == Status.FINISHED
        played.returns[finished] = returns[finished]
        played.successes[~finished], played.solved[~finished] = False, np.nan
        return played

    def _step(self, index: int, action: np.ndarray) -> tuple[np.ndarray, float, bool, dict[str, Any]] | None:
        """Observation, reward, whether the episode ended, and info; None where the simulator failed.

        A simulator that raised is replaced by a new one: there is no telling what state it is in.
        """
        try:
            observation, reward, terminated, truncated, info = self.envs[index].step(action)
        except UserError:
            raise  # of a whole kind of environment, not of this episode
        except Exception as error:  # whatever an environment may raise ends this episode, not the study
            logger.warning("an episode was given up: its environment raised %r", error)
            self.envs[index].close()
            self.envs[index] = self.make_env()
            return None
        if not (np.isfinite(observation).all() and np.isfinite(float(reward))):
            return None
        return observation, float(reward), terminated or truncated, info

    def close(self) -> None:
        for env in self.envs:
            env.close()
        self.envs.clear()
